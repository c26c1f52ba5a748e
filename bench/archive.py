# SPDX-License-Identifier: Apache-2.0
"""Makes the large test image: about 180 MB in 12 000 files, from this machine's own /usr, as a docker-archive."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

_FILES = 12_000
_BYTES = 180_000_000
_LARGEST_BYTES = 1_200_000


def big_image(folder: Path) -> tuple[Path, str]:
    """Returns (archive, image name); made once and kept."""
    name = "bench-big:latest"
    archive = folder / "big.tar"
    if archive.exists():
        return archive, name
    layer = folder / "big-layer.tar"
    _write_layer(layer)
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/usr/bin/true"]},
            "rootfs": {"type": "layers", "diff_ids": ["sha256:" + _sha256(layer)]},
            "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "bench"}],
        }
    ).encode()
    config_name = hashlib.sha256(config).hexdigest() + ".json"
    manifest = json.dumps([{"Config": config_name, "RepoTags": [name], "Layers": ["layer.tar"]}]).encode()
    with tarfile.open(archive.with_suffix(".new"), "w") as tar:
        for member, data in ((config_name, config), ("manifest.json", manifest)):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
        tar.add(layer, "layer.tar")
    layer.unlink()
    archive.with_suffix(".new").rename(archive)
    return archive, name


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _write_layer(path: Path) -> None:
    """Files up to 1.2 MB of /usr, in the order of a walk, until either bound is reached."""
    count = total = 0
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        for folder, folders, files in os.walk("/usr"):
            folders.sort()
            tar.add(folder, recursive=False)
            for name in sorted(files):
                member = os.path.join(folder, name)
                info = os.lstat(member)
                if info.st_size > _LARGEST_BYTES:
                    continue
                tar.add(member, recursive=False)
                count += 1
                total += info.st_size
                if count >= _FILES or total >= _BYTES:
                    return
