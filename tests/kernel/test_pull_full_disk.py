# SPDX-License-Identifier: Apache-2.0
"""A pull and a registry on a disk that is too small: a clear error, nothing left, and on it goes once there is room."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.oci import media
from holdfast.registry import main

PULL = """
import os, sys
from holdfast import content, images, metadata, snapshots
from holdfast.distribution import Puller, Registries
from holdfast.errors import Exhausted
from holdfast.oci import reference

root, name = sys.argv[1:]
def free():
    status = os.statvfs(root)
    return status.f_bavail * status.f_frsize
records, blobs = metadata.Store(root + "/metadata.db"), content.Store(root + "/content")
store = images.Store(records, blobs, snapshots.open_driver("vfs", root))
puller = Puller(store=blobs, images=store, registries=Registries())
for ballast in (26 << 20, 14 << 20):  # no room for the blob; room for the blob and not for its files
    with open(root + "/ballast", "wb") as file:
        os.posix_fallocate(file.fileno(), 0, ballast)
    before = free()
    try:
        puller.pull(reference.parse(name))
        raise SystemExit("the pull did not fail")
    except Exhausted as error:
        print(error.message)
    assert not store.list() and not list(store.snapshots.iter_names()) and not list(store.snapshots.iter_keys())
    assert os.listdir(root + "/content/ingest") == [], os.listdir(root + "/content/ingest")
    store.collect()
    assert free() >= before - (1 << 20), (free(), before)
    os.unlink(root + "/ballast")
puller.pull(reference.parse(name))
print(len(store.list()))
"""


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@pytest.fixture
def image(tmp_path: Path) -> Iterator[str]:
    """An image of 10 MB that does not compress, in a registry on loopback."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("file")
        member.size = 10 << 20
        archive.addfile(member, io.BytesIO(os.urandom(10 << 20)))
    layer = buffer.getvalue()
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]}}
    )
    registry = main.Registry(main.parse(["--root", str(tmp_path / "registry")]))
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    threading.Thread(target=registry.serve, args=(listening,), daemon=True).start()
    client = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    described = []
    for kind, data in ((media.OCI_CONFIG, config.encode()), (media.OCI_LAYER, layer)):
        client.request("POST", f"/v2/x/blobs/uploads/?digest={sha256(data)}", data)
        answer = client.getresponse()
        assert (answer.status, answer.read()) == (201, b"")
        described.append({"mediaType": kind, "digest": sha256(data), "size": len(data)})
    manifest = {"schemaVersion": 2, "mediaType": media.OCI_MANIFEST, "config": described[0], "layers": described[1:]}
    client.request("PUT", "/v2/x/manifests/v1", json.dumps(manifest), {"Content-Type": media.OCI_MANIFEST})
    assert client.getresponse().status == 201
    yield f"127.0.0.1:{port}/x:v1"
    registry.close()


def on_small_disk(point: Path, mebibytes: int, *command: str) -> str:
    point.mkdir()
    mount = f"mount -t tmpfs -o size={mebibytes}m full {point}"
    done = subprocess.run(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", f'{mount} && exec "$@"', "sh", *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_pull_onto_a_full_disk_leaves_nothing_and_goes_on_with_room(image: str, tmp_path: Path) -> None:
    point = tmp_path / "disk"

    told = on_small_disk(point, 32, sys.executable, "-c", PULL, str(point), image).splitlines()

    assert len(told) == 3
    assert all("no space left" in line.lower() for line in told[:2]), told
    assert told[2] == "1"


UPLOAD = """
import hashlib, os, socket, sys, threading, http.client
from holdfast.registry import main

root = sys.argv[1]
registry = main.Registry(main.parse(["--root", root]))
listening = socket.create_server(("127.0.0.1", 0))
threading.Thread(target=registry.serve, args=(listening,), daemon=True).start()

def put(size):
    data = os.urandom(size)
    client = http.client.HTTPConnection("127.0.0.1", listening.getsockname()[1], timeout=20)
    client.request("POST", "/v2/x/blobs/uploads/?digest=sha256:" + hashlib.sha256(data).hexdigest(), data)
    answer = client.getresponse()
    print(answer.status, answer.read().decode().strip())

put(12 << 20)
assert os.listdir(root + "/content/ingest") == []
put(1 << 20)
"""


def test_an_upload_that_does_not_fit_is_507_and_leaves_nothing(tmp_path: Path) -> None:
    point = tmp_path / "disk"

    told = on_small_disk(point, 10, sys.executable, "-c", UPLOAD, str(point)).splitlines()

    assert told[0].startswith("507 ")
    assert "no space left" in told[0].lower()
    assert told[1].strip() == "201"
