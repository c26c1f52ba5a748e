# SPDX-License-Identifier: Apache-2.0
"""A twin of the image store for pushes, and what the tests of pushes say again and again."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from holdfast import metadata
from holdfast.distribution import OpenUploads, Origins, Pusher, Registries, RegistryConfig, retry
from holdfast.oci import media
from holdfast.oci import reference as references

NAME = "team/app"


def sha256(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Shelf:
    """A twin of the image store: images by name, made of blobs in a content store."""

    def __init__(self, store: Any) -> None:
        self.store = store
        self.names: dict[str, str] = {}
        self.images: dict[str, Any] = {}
        self.indexes: dict[str, str] = {}
        self.registered: list[tuple[str, str]] = []

    def add(self, name: str, *blobs: tuple[str, bytes, bytes]) -> Any:
        """`blobs`: media type, the blob, the plain tar."""
        config = json.dumps({"architecture": "amd64", "os": "linux"}).encode()
        layers = [{"mediaType": kind, "digest": self.store.put(blob), "size": len(blob)} for kind, blob, _ in blobs]
        manifest = {
            "schemaVersion": 2,
            "mediaType": media.OCI_MANIFEST,
            "config": {"mediaType": media.OCI_CONFIG, "digest": self.store.put(config), "size": len(config)},
            "layers": layers,
        }
        digest = self.store.put(json.dumps(manifest).encode())
        image = SimpleNamespace(
            id=sha256(config), manifest=digest, repo_digests=(), layers=tuple(sha256(plain) for _, _, plain in blobs)
        )
        self.images[digest] = image
        self.names[str(references.parse(name))] = digest
        return image

    def owner_of(self, reference: Any) -> Any:
        return self.names.get(str(reference))

    def tags_of(self, repository: Any) -> list[Any]:
        found = [references.parse(name) for name in self.names]
        return sorted((name for name in found if name.name == repository.name), key=str)

    def get(self, name: str) -> Any:
        return self.images[name]

    def index_of(self, reference: Any) -> Any:
        return self.indexes.get(str(reference))

    def register(self, reference: Any, *, top: Any, manifest: Any) -> bool:
        self.registered.append((str(reference), top))
        return True


@contextmanager
def made_pusher(store: Any, shelf: Shelf, database: metadata.Store) -> Iterator[Pusher]:
    """As a daemon that starts has it; what it is to remember lies in the database."""
    policy = retry.Policy(attempts=4, deadline_seconds=5.0, first_delay_seconds=0.02, max_delay_seconds=0.05)
    registries = Registries(RegistryConfig(certs_dirs=()), policy=policy)
    known, uploads = Origins(database), OpenUploads(database)
    made = Pusher(store=store, images=shelf, registries=registries, origins=known, open_uploads=uploads)
    yield made
    made.close()
    registries.close()


def put_under_index(shelf: Shelf, name: str, *platforms: str) -> tuple[str, list[str]]:
    """An image for each platform and an index of them all; the name stands for the first."""
    entries: list[dict[str, Any]] = []
    for platform in platforms:
        image = shelf.add(f"unnamed/{platform.replace('/', '-')}:1", zipped(platform.encode() * 100))
        size = shelf.store.size(image.manifest)
        os, architecture = platform.split("/")
        runs = {"os": os, "architecture": architecture}
        entries.append({"mediaType": media.OCI_MANIFEST, "digest": image.manifest, "size": size, "platform": runs})
    index = shelf.store.put(
        json.dumps({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}).encode()
    )
    key = str(references.parse(name))
    shelf.names[key], shelf.indexes[key] = entries[0]["digest"], index
    return index, [entry["digest"] for entry in entries]


def zipped(plain: bytes) -> tuple[str, bytes, bytes]:
    return media.OCI_LAYER_GZIP, gzip.compress(plain, mtime=0), plain


def push(pusher: Pusher, registry: Any, suffix: str = ":v1", name: str = NAME, **options: Any) -> list[dict[str, Any]]:
    told: list[dict[str, Any]] = []
    pusher.push(references.parse(f"{registry.host}/{name}{suffix}"), progress=told.append, **options)
    return told


def texts(told: list[dict[str, Any]]) -> list[str]:
    return [message["status"] for message in told if "status" in message and "Pushing" not in message["status"]]
