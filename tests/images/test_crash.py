# SPDX-License-Identifier: Apache-2.0
"""`kill -9` at any moment of a load or a delete: what is recorded is whole, the rest goes, and it can be done again."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from holdfast import images

WORK = """
import os, sys
from holdfast import content, images, metadata, snapshots
root, archive = sys.argv[1:]
store = images.Store(metadata.Store(root + "/metadata.db"), content.Store(root + "/content"),
                     snapshots.open_driver("overlay2", root))
os.write(1, b"x")
while True:
    with open(archive, "rb") as source:
        for name in store.load(source):
            store.delete(name)
"""


def check(store: images.Store) -> None:
    """Every image that is listed can be used and saved; nothing else is left."""
    store.snapshots.purge(lambda _: False)
    store.content.purge(time.time() + 1)
    store.collect()
    blobs: set[str] = set()
    for image in store.list():
        assert image.damage == ""
        assert image.chain_id is None or store.snapshots.exists(image.chain_id)
        assert sum(map(len, store.save([image.id]))) > 0
        blobs |= {image.id, image.manifest, *(layer.digest for layer in image.blobs)}
    assert set(store.content.iter()) == blobs
    assert list(store.snapshots.iter_keys()) == []
    assert [name for name in os.listdir(store.snapshots.root) if name.startswith(".")] == []


def test_killed_at_any_moment_a_store_stays_whole(tmp_path: Path, kit: Any) -> None:
    layers = [kit.tar_of({f"d/{i}-{j}": bytes(5000) for j in range(150)}) for i in range(3)]
    archive = tmp_path / "archive.tar"
    archive.write_bytes(kit.docker_archive(["app:1", "app:2"], *layers))
    root = tmp_path / "data"
    kit.open_store(root)

    for number in range(8):
        with subprocess.Popen([sys.executable, "-c", WORK, str(root), str(archive)], stdout=subprocess.PIPE) as victim:
            assert victim.stdout is not None
            victim.stdout.read(1)
            time.sleep(0.02 * number)
            victim.send_signal(signal.SIGKILL)
        check(kit.open_store(root))

    names, _ = kit.load(kit.open_store(root), archive.read_bytes())
    assert names == ["app:1", "app:2"]
