# SPDX-License-Identifier: Apache-2.0
"""A load on a disk without room: a clear error, nothing left behind, and it goes on once there is room."""

import io
import json
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

STORY = """
import os, subprocess, sys
from holdfast import content, images, metadata, snapshots
from holdfast.errors import Exhausted
root, archive, driver = sys.argv[1:]

def mount(options):
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root], check=True)

mount("size=1m")
store = images.Store(metadata.Store(root + "/metadata.db"), content.Store(root + "/content"),
                     snapshots.open_driver(driver, root))
for size in (700, 1500, 2300, 3300):
    mount(f"remount,size={size}k")
    try:
        store.load(open(archive, "rb"))
        print("loaded", size)
    except Exhausted as error:
        assert "no space left" in error.message, error.message
    store.collect()
    store.content.purge(2**40)
    assert list(store.snapshots.iter_keys()) == list(store.snapshots.iter_names()) == list(store.content.iter()) == []
    assert store.list() == []
mount("remount,size=64m")
print(store.load(open(archive, "rb")))
"""


IMPORT = """
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
        store.import_(open(archive, "rb"), platform=Platform("linux", "amd64"), target="imported:1")
        print("imported", size)
    except Exhausted as error:
        assert "no space left" in error.message, error.message
    store.collect()
    store.content.purge(2**40)
    assert list(store.snapshots.iter_keys()) == list(store.snapshots.iter_names()) == list(store.content.iter()) == []
    assert store.list() == []
mount("remount,size=64m")
store.import_(open(archive, "rb"), platform=Platform("linux", "amd64"), target="imported:1")
print(store.list()[0].repo_tags)
"""


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_an_import_on_a_full_disk_leaves_nothing_and_stops_nothing(driver: str, tmp_path: Path) -> None:
    archive = tmp_path / "root.tar"
    archive.write_bytes(_tar({f"{n}": bytes([n]) * 900_000 for n in range(3)}))
    root = tmp_path / "root"
    root.mkdir()

    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", IMPORT]
    done = subprocess.run([*command, str(root), str(archive), driver], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("('imported:1',)\n", 0), done.stderr


@pytest.mark.parametrize("driver", ["overlay2", "vfs"])
def test_a_full_disk_leaves_nothing_and_stops_nothing(driver: str, tmp_path: Path) -> None:
    layers = [_tar({f"{n}": bytes([n]) * 900_000}) for n in (1, 2)]
    config = json.dumps({"rootfs": {"diff_ids": ["sha256:" + sha256(layer).hexdigest() for layer in layers]}}).encode()
    item = {"Config": "c", "RepoTags": ["app:1"], "Layers": ["0", "1"]}
    archive = tmp_path / "archive.tar"
    archive.write_bytes(
        _tar({"c": config, "0": layers[0], "1": layers[1], "manifest.json": json.dumps([item]).encode()})
    )
    root = tmp_path / "root"
    root.mkdir()

    command = ["unshare", "-m", "--propagation", "private", sys.executable, "-c", STORY]
    done = subprocess.run([*command, str(root), str(archive), driver], capture_output=True, text=True, check=False)

    assert (done.stdout, done.returncode) == ("['app:1']\n", 0), done.stderr


def _tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()
