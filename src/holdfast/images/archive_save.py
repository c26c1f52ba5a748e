# SPDX-License-Identifier: Apache-2.0
"""`docker save`: one tar that is a docker-archive and an OCI image layout at once, as docker 28 writes it.

Blobs go out byte for byte as they came in, so what is loaded elsewhere has the same digests. A name whose index is here
complete is saved with all its platforms, one whose index is not, with the image that is. The archive is made while
it is read: memory stays flat whatever the images weigh. A layer whose blob is gone (another image brought the same
files in another compression) makes the save fail by name before the first byte, one that the disk changed when it is read.
An image's blobs are as old as the image and the rest is of 1970, so the same images make the same archive.
Source: OCI image-spec v1.1 §image-layout; the archives that docker 28.2 writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from holdfast.errors import NotFound
from holdfast.images import indexes, naming
from holdfast.oci import digest as digests
from holdfast.oci import media
from holdfast.oci import platform as platforms
from holdfast.oci import reference as references
from holdfast.oci.descriptor import Descriptor
from holdfast.snapshots.tar import Entry, Kind
from holdfast.snapshots.tar.writer import encode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.images.image import Image
    from holdfast.images.indexes import Tree
    from holdfast.images.store import Store
    from holdfast.oci.digest import Digest
    from holdfast.oci.platform import Platform
    from holdfast.oci.reference import Reference

_CHUNK_BYTES = 1 << 20
_NAME_ANNOTATION = "io.containerd.image.name"
_REF_ANNOTATION = "org.opencontainers.image.ref.name"


def save(store: Store, names: list[str], platform: Platform | None = None) -> Iterator[bytes]:
    """The archive's bytes; NotFound is raised here, before there are any. Iterate it under a lease of your own choice.

    With a platform, of a name's index only its image goes, which must be for that platform.
    """
    wanted = resolve(store, names)
    for image, _ in wanted:
        if platform is not None and not platforms.is_match(platform, image.config.platform):
            raise NotFound(f"no suitable export target found for platform {platform}")
        whole = [(image.manifest, None), (image.id, None), *((layer.digest, layer.size) for layer in image.blobs)]
        for blob, size in whole:
            if not store.content.has(blob, size):
                raise NotFound(f"cannot save {image.id}: blob {blob} is missing or damaged; pull the image again")
    return _generate(store, wanted, _trees(store, wanted) if platform is None else {})


def _trees(store: Store, wanted: list[tuple[Image, list[Reference]]]) -> dict[Reference, Tree]:
    """The indexes of the names, as far as they are here complete."""
    found: dict[Reference, Tree] = {}
    for _, tags in wanted:
        for tag in tags:
            index = store.index_of(tag)
            tree = indexes.walk(store.content, index) if index is not None else None
            if tree is not None and tree.is_complete(store.content):
                found[tag] = tree
    return found


def resolve(store: Store, names: list[str]) -> list[tuple[Image, list[Reference]]]:
    """The images in the order asked for, each once, with the tags it is to carry.

    A name without a tag stands for all tags of that repository, an id for the image without names.
    """
    found: dict[Digest, tuple[Image, list[Reference]]] = {}
    for name in names:
        for image, tags in _resolve_one(store, name):
            known = found.setdefault(image.id, (image, []))[1]
            known.extend(tag for tag in tags if tag not in known)
    return list(found.values())


def _resolve_one(store: Store, name: str) -> list[tuple[Image, list[Reference]]]:
    if naming.whole_id(name) is not None:
        return [(store.get(name), [])]
    reference = references.parse(name)
    if reference.tag is None and reference.digest is None:
        tagged = store.tags_of(reference)
        if tagged:
            return [(store.get(str(tag)), [tag]) for tag in tagged]
    image = store.get(name)
    if naming.is_id_prefix(name, image.id) or reference.digest is not None:
        return [(image, [])]
    return [(image, [reference.with_default_tag()])]


def _blobs(image: Image) -> list[Digest]:
    return [image.manifest, image.id, *(layer.digest for layer in image.blobs)]


def _generate(
    store: Store, wanted: list[tuple[Image, list[Reference]]], trees: dict[Reference, Tree]
) -> Iterator[bytes]:
    yield encode(Entry(b"blobs/", Kind.DIRECTORY, mode=0o755))
    yield encode(Entry(b"blobs/sha256/", Kind.DIRECTORY, mode=0o755))
    done: set[Digest] = set()
    for image, tags in wanted:
        others = [digest for tag in tags if tag in trees for digest in trees[tag].digests()]
        for digest in (*_blobs(image), *others):
            if digest not in done and store.content.has(digest):
                done.add(digest)
                yield from _blob(store, digest, 0 if digest == image.manifest else image.created_seconds)
    yield from _document("index.json", _index(store, wanted, trees))
    yield from _document("manifest.json", [_archived(image, tags) for image, tags in wanted])
    yield from _document("oci-layout", {"imageLayoutVersion": "1.0.0"})
    repositories = _repositories(wanted)
    if repositories:
        yield from _document("repositories", repositories)
    yield bytes(1024)


def _blob(store: Store, digest: Digest, seconds: int) -> Iterator[bytes]:
    size = store.content.size(digest)
    yield encode(Entry(_blob_path(digest).encode(), mode=0o644, size=size, mtime_nanos=max(seconds, 0) * 10**9))
    hasher = digests.Hasher(digests.algorithm(digest))
    with store.content.open(digest) as file:
        while chunk := file.read(_CHUNK_BYTES):
            hasher.update(chunk)
            yield chunk
    if hasher.digest() != digest:
        store.content.verify(digest)
    yield bytes(-size % 512)


def _document(name: str, value: object) -> Iterator[bytes]:
    data = msgspec.json.encode(value)
    yield encode(Entry(name.encode(), mode=0o644, size=len(data))) + data + bytes(-len(data) % 512)


def _blob_path(digest: Digest) -> str:
    return f"blobs/{digests.algorithm(digest)}/{digests.encoded(digest)}"


def _index(store: Store, wanted: list[tuple[Image, list[Reference]]], trees: dict[Reference, Tree]) -> dict[str, Any]:
    entries: list[dict[str, Any]] = []
    for image, tags in wanted:
        kind = store.manifest_type(image.id)
        size = store.content.size(image.manifest)
        own = Descriptor(kind, image.manifest, size)
        if not tags:
            entries.append(own.to_json())
        for tag in tags:
            annotations = {_NAME_ANNOTATION: str(tag), _REF_ANNOTATION: tag.tag or references.DEFAULT_TAG}
            top = trees[tag].nodes[-1].descriptor if tag in trees else own
            entries.append(Descriptor(top.media_type, top.digest, top.size, annotations).to_json())
    return {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries}


def _archived(image: Image, tags: list[Reference]) -> dict[str, Any]:
    return {
        "Config": _blob_path(image.id),
        "RepoTags": [tag.familiar for tag in tags] or None,
        "Layers": [_blob_path(layer.digest) for layer in image.blobs],
    }


def _repositories(wanted: list[tuple[Image, list[Reference]]]) -> dict[str, dict[str, str]]:
    """The oldest format's list of names; its values are the top layers."""
    result: dict[str, dict[str, str]] = {}
    for image, tags in wanted:
        for tag in tags:
            top = digests.encoded(image.blobs[-1].digest) if image.blobs else ""
            result.setdefault(tag.familiar_name, {})[tag.tag or references.DEFAULT_TAG] = top
    return result
