# SPDX-License-Identifier: Apache-2.0
"""An image store on real packages in a temporary directory, and archives made by hand."""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from holdfast import content, images, metadata, snapshots

SHARED = Path(__file__).resolve().parents[3] / "shared" / "images"


def open_store(root: Path) -> images.Store:
    root.mkdir(exist_ok=True)
    return images.Store(
        metadata.Store(root / "metadata.db"),
        content.Store(str(root / "content")),
        snapshots.open_driver("overlay2", str(root)),
    )


@pytest.fixture
def store(tmp_path: Path) -> images.Store:
    return open_store(tmp_path / "data")


class Kit:
    """What the tests make archives with."""

    @staticmethod
    def sha(data: bytes) -> str:
        return "sha256:" + hashlib.sha256(data).hexdigest()

    @staticmethod
    def tar_of(members: dict[str, bytes], links: dict[str, str] | None = None) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for name, data in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
            for name, target in (links or {}).items():
                info = tarfile.TarInfo(name)
                info.type, info.linkname = tarfile.SYMTYPE, target
                archive.addfile(info)
        return buffer.getvalue()

    @staticmethod
    def config_of(*layers: bytes, **more: object) -> bytes:
        document = {
            "architecture": "amd64",
            "os": "linux",
            "created": "2024-01-02T03:04:05Z",
            "config": {"Cmd": ["sh"], "Labels": {"k": "v"}},
            "rootfs": {"type": "layers", "diff_ids": [Kit.sha(layer) for layer in layers]},
            "history": [{"created": "2024-01-02T03:04:05Z", "created_by": f"layer {i}"} for i in range(len(layers))],
            **more,
        }
        return json.dumps(document).encode()

    @staticmethod
    def docker_archive(tags: list[str], *layers: bytes, config: bytes | None = None, **more: object) -> bytes:
        """An archive as old `docker save` wrote it."""
        raw = config if config is not None else Kit.config_of(*layers)
        item = {"Config": "c.json", "RepoTags": tags, "Layers": [f"{i}/layer.tar" for i in range(len(layers))], **more}
        members = {"c.json": raw, **{f"{i}/layer.tar": layer for i, layer in enumerate(layers)}}
        return Kit.tar_of({**members, "manifest.json": json.dumps([item]).encode()})

    @staticmethod
    def load(store: images.Store, archive: bytes) -> tuple[list[str], list[str]]:
        """Loads; returns names or ids and the lines told."""
        lines: list[str] = []

        def tell(message: dict[str, str]) -> None:
            if "stream" in message:
                lines.append(message["stream"])

        return store.load(io.BytesIO(archive), tell), lines

    @staticmethod
    def shared_image(name: str) -> bytes:
        """A real image as the tar of its layout."""
        assert (SHARED / name).is_dir(), f"the real image {name} is missing: it lies in {SHARED}"
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            archive.add(SHARED / name, ".")
        return buffer.getvalue()

    @staticmethod
    def open_store(root: Path) -> images.Store:
        """A store on that data root."""
        return open_store(root)

    @staticmethod
    def reopen(store: images.Store) -> images.Store:
        """The same data by a new store, as after a restart."""
        root = Path(store.content.path(Kit.sha(b""))).parents[3]
        return open_store(root)


@pytest.fixture
def kit() -> type[Kit]:
    return Kit
