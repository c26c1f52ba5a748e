# SPDX-License-Identifier: Apache-2.0
"""A load, an import and a commit on a disk without room: a clear error, nothing left behind, and it goes on once there is room."""

import io
import json
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

FILLS = """
import io, os, subprocess, sys
from holdfast import content, images, metadata, snapshots
from holdfast.errors import Exhausted
from holdfast.oci.platform import Platform
root, archive, driver = sys.argv[1:]

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root], check=True)

mount("size=1m")
store = images.Store(metadata.Store(root + "/metadata.db"), content.Store(root + "/content"),
                     snapshots.open_driver(driver, root))
for size in (700, 1500, 2300, 3300):
    mount(f"remount,size={size}k")
    try:
        BRING
        print("there was room for it in", size)
    except Exhausted as error:
        assert "no space left" in error.message, error.message
    store.collect()
    store.content.purge(2**40)
    assert list(store.snapshots.iter_keys()) == list(store.snapshots.iter_names()) == list(store.content.iter()) == []
    assert store.list() == []
mount("remount,size=64m")
BRING
print(store.list()[0].repo_tags)
"""
LOAD = FILLS.replace("BRING", 'store.load(open(archive, "rb"))')
IMPORT = FILLS.replace(
    "BRING", 'store.import_(open(archive, "rb"), platform=Platform("linux", "amd64"), target="imported:1")'
)

COMMIT = """
import hashlib, io, os, subprocess, sys
from holdfast import content, images, metadata, snapshots
from holdfast.errors import Exhausted
from holdfast.images import committing
from holdfast.oci.image import RunConfig
from holdfast.snapshots import changes, diff
root, archive, driver = sys.argv[1:]

subprocess.run(["sh", "-c", "truncate -s 64m %s.ext4; mkfs.ext4 -qm 0 -O ^has_journal %s.ext4" % (root, root)], check=True)
subprocess.run(["mount", "-o", "loop", root + ".ext4", root], check=True)

def room(size):
    status = os.statvfs(root)
    free = status.f_bavail * status.f_frsize
    with open(root + "/ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(4096, free - size - (free - size) // 1000))

def state():
    return (sorted(store.snapshots.iter_names()), sorted(store.snapshots.iter_keys()), sorted(store.content.iter()),
            os.listdir(root + "/content/ingest"), [(each.id, each.repo_tags) for each in store.list()])

def commit(attempt):
    trees = changes.trees(store.snapshots, "container")
    def write(target):
        if trees.is_whole:
            diff.write_changes(trees.lowers[0], trees.upper, target)
        else:
            diff.write_layer(trees.upper, target, changes.hidden(trees))
    return committing.commit(store, parent, write, RunConfig(), attempt=str(attempt), now=1.0, created_by="x", target="made:1")

store = images.Store(metadata.Store(root + "/metadata.db"), content.Store(root + "/content"),
                     snapshots.open_driver(driver, root))
store.load(open(archive, "rb"))
parent = store.get("app:1")
store.snapshots.prepare("container", parent.chain_id)
own = changes.trees(store.snapshots, "container").upper
for number in range(20):
    with open(own + "/new%d" % number, "wb") as file:
        file.write(os.urandom(100_000))
before = state()
failed = []
for size in (0, 100_000, 500_000, 1_000_000, 1_900_000, 2_100_000, 3_000_000, *range(3_900_000, 5_000_000, 25_000)):
    room(size)
    try:
        made = commit(size)
        break
    except Exhausted as error:
        failed.append(size)
        assert "no space left" in error.message or "disk is full" in error.message, error.message
        assert state() == before, (size, state(), before)
    finally:
        os.unlink(root + "/ballast")
layers = store.snapshots.layers(store.get("made:1").chain_id)
copies = [os.path.exists(layers[0] + "/new%d" % number) for number in range(20)]
assert len(failed) >= 7, failed
print(made == store.get("made:1").id, all(copies), len(store.list()))
"""


@pytest.mark.parametrize("driver", ["overlay2", "vfs", "erofs"])
def test_a_commit_on_a_full_disk_leaves_nothing_and_stops_nothing(driver: str, tmp_path: Path) -> None:
    layer = _tar({"file": b"x" * 100})
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + sha256(layer).hexdigest()]}}).encode()
    item = {"Config": "c", "RepoTags": ["app:1"], "Layers": ["l"]}
    archive = tmp_path / "archive.tar"
    archive.write_bytes(_tar({"c": config, "l": layer, "manifest.json": json.dumps([item]).encode()}))

    _run(COMMIT, archive, driver, "True True 2\n")


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_an_import_on_a_full_disk_leaves_nothing_and_stops_nothing(driver: str, tmp_path: Path) -> None:
    archive = tmp_path / "root.tar"
    archive.write_bytes(_tar({f"{n}": bytes([n]) * 900_000 for n in range(3)}))

    _run(IMPORT, archive, driver, "('imported:1',)\n")


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_a_full_disk_leaves_nothing_and_stops_nothing(driver: str, tmp_path: Path) -> None:
    layers = [_tar({f"{n}": bytes([n]) * 900_000}) for n in (1, 2)]
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + sha256(layer).hexdigest() for layer in layers]}}).encode()
    item = {"Config": "c", "RepoTags": ["app:1"], "Layers": ["0", "1"]}
    archive = tmp_path / "archive.tar"
    archive.write_bytes(
        _tar({"c": config, "0": layers[0], "1": layers[1], "manifest.json": json.dumps([item]).encode()})
    )

    _run(LOAD, archive, driver, "('app:1',)\n")


def _run(script: str, archive: Path, driver: str, expected: str) -> None:
    root = archive.parent / "root"
    root.mkdir()
    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", script]
    done = subprocess.run([*command, str(root), str(archive), driver], capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == (expected, 0), done.stderr


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
