# SPDX-License-Identifier: Apache-2.0
"""Makes the large test image: about 180 MB in 12 000 files, from this machine's own /usr, as a docker-archive."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import cast

_KIND = "application/vnd.oci.image."
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


def many_images(folder: Path, count: int) -> tuple[Path, list[str]]:
    """An archive of so many small images that share their layer, and their names."""
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"))
    diff_id = "sha256:" + hashlib.sha256(layer.getvalue()).hexdigest()
    members = {"layer.tar": layer.getvalue()}
    items: list[dict[str, object]] = []
    for number in range(count):
        members[f"{number}.json"] = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "created": "2026-01-01T00:00:00Z",
                "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"], "Labels": {"number": str(number)}},
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
                "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "bench"}],
            }
        ).encode()
        items.append({"Config": f"{number}.json", "RepoTags": [f"bench/many-{number}:1"], "Layers": ["layer.tar"]})
    members["manifest.json"] = json.dumps(items).encode()
    archive = folder / "many.tar"
    with tarfile.open(archive, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return archive, [name for item in items for name in cast("list[str]", item["RepoTags"])]


def write_layout(folder: Path, *, layers: int, layer_bytes: int) -> None:
    """An OCI layout of one image whose layers are single files of random bytes, as tars that are not compressed."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    (folder / "oci-layout").write_text('{"imageLayoutVersion":"1.0.0"}')
    described: list[dict[str, object]] = []
    for number in range(layers):
        path = folder / "layer.tar"
        with tarfile.open(path, "w") as tar:
            info = tarfile.TarInfo(f"random-{number}")
            info.size = layer_bytes
            with open("/dev/urandom", "rb") as source:
                tar.addfile(info, source)
        digest = _sha256(path)
        size = path.stat().st_size
        path.rename(blobs / digest)
        described.append(_descriptor("layer.v1.tar", digest, size))

    def put(kind: str, value: object) -> dict[str, object]:
        data = json.dumps(value).encode()
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return _descriptor(kind, digest, len(data))

    diff_ids = [each["digest"] for each in described]
    config = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    manifest = {"schemaVersion": 2, "config": put("config.v1+json", config), "layers": described}
    entry = put("manifest.v1+json", {**manifest, "mediaType": _KIND + "manifest.v1+json"})
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))


def _descriptor(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": _KIND + kind, "digest": f"sha256:{digest}", "size": size}


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
