# SPDX-License-Identifier: Apache-2.0
"""`docker load`: every image of an archive that `docker save`, `skopeo`, `buildx` or `podman` has written.

Understands docker-archive (`manifest.json`), OCI image layout (`index.json`) and both in one tar, where the layout
gives the manifests (so digests survive a round trip) and `manifest.json` the names. Layers may be plain, gzip or
zstd. The stream is read once, in order; images appear after it has been read to its end.
Source: OCI image-spec v1.1 §image-layout; the archives that docker 28.2 writes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from holdfast.content import compression
from holdfast.errors import Corrupt, InvalidArgument, NotFound, Unsupported
from holdfast.images.archive_members import Members
from holdfast.images.progress import Meter, Progress
from holdfast.images.progress import stream as output
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci import platform as platforms
from holdfast.oci import reference as references
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from holdfast.images.store import Store
    from holdfast.oci.platform import Platform
    from holdfast.oci.reference import Reference

_NAME_ANNOTATION = "io.containerd.image.name"
_REF_ANNOTATION = "org.opencontainers.image.ref.name"
_ENCODING_MEDIA = {"": media.OCI_LAYER, "gzip": media.OCI_LAYER_GZIP, "zstd": media.OCI_LAYER_ZSTD}
_INDEX_DEPTH = 4


class ArchiveImage(msgspec.Struct, frozen=True):
    """One element of a docker-archive's `manifest.json`."""

    config: str = msgspec.field(name="Config")
    repo_tags: tuple[str, ...] = msgspec.field(default=(), name="RepoTags")
    layers: tuple[str, ...] = msgspec.field(default=(), name="Layers")


class _Found(msgspec.Struct):
    """An image of the archive: its manifest, in content, its names, and under which of them it came in an index.

    The index of an entry without a name is that of every other name.
    """

    manifest: Digest
    names: list[Reference]
    indexes: dict[Reference | None, Digest] = {}

    def index_of(self, name: Reference) -> Digest | None:
        return self.indexes.get(name) or self.indexes.get(None)


def load(store: Store, source: compression.Readable, progress: Progress, platform: Platform | None = None) -> list[str]:
    """Loads all images, or those for a platform; returns what each is called (`name:tag` or the id).

    Errors leave no image behind. An index of which one platform is wanted is not kept.
    """
    loaded: list[str] = []
    with store.intake():
        members = Members(store.content)
        members.take_in(source, store.limits, store.documents_limits)
        for found in _find(store, members) if platform is None else _find_for(store, members, platform):
            loaded += _bring_in(store, found, progress)
    store.collect()
    return loaded


def _find(store: Store, members: Members) -> list[_Found]:
    index, manifest = members.document("index.json"), members.document("manifest.json")
    if index is None and manifest is None:
        raise InvalidArgument("unrecognized image format: the archive has neither a manifest.json nor an index.json")
    laid_out = _of_layout(store, members, index, _here()) if index is not None else []
    if manifest is None:
        return laid_out
    archived = strict.decode(manifest, list[ArchiveImage], "manifest.json", max_bytes=strict.STORED_MAX_BYTES)
    by_config = {_config_of(store, found.manifest): found for found in laid_out}
    result: list[_Found] = []
    for item in archived:
        config = members.blob(item.config)
        names = [_tag_name(text) for text in item.repo_tags]
        same = by_config.get(config.digest)
        found = _Found(same.manifest if same else _compose(store, members, item), names)
        if same is not None:
            found.indexes = same.indexes
        result.append(found)
    return result


def _find_for(store: Store, members: Members, platform: Platform) -> list[_Found]:
    """The images for a platform, those in indexes included; NotFound without any."""
    index = members.document("index.json")
    found = _find(store, members) if index is None else _of_layout(store, members, index, platform)
    fitting = [
        each
        for each in found
        if platforms.is_match(platform, _config_platform(store, _config_of(store, each.manifest)))
    ]
    if not fitting:
        raise NotFound(f"the archive has no image for platform {platform}")
    for each in fitting:
        each.indexes = {}
    return fitting


def _config_platform(store: Store, config: Digest) -> Platform:
    return documents.decode_config(_config_bytes(store, config)).platform


def _here() -> Platform:
    return platforms.of_machine(os.uname().machine)


def _of_layout(store: Store, members: Members, index: bytes, wanted: Platform) -> list[_Found]:
    """The images of an OCI layout; several entries of one manifest are one image with several names."""
    found: dict[Digest, _Found] = {}
    for descriptor in _entries(members, index):
        manifest = _manifest_for(store, members, descriptor, wanted, _INDEX_DEPTH)
        if manifest is None:
            continue
        image = found.setdefault(manifest, _Found(manifest, []))
        name = _annotated_name(descriptor)
        if descriptor.digest != manifest:
            image.indexes[name] = descriptor.digest
        if name is not None and name not in image.names:
            image.names.append(name)
    return list(found.values())


def _entries(members: Members, index: bytes) -> tuple[Descriptor, ...]:
    del members
    parsed = documents.decode(index, media.OCI_INDEX)
    if not isinstance(parsed, documents.Index):
        raise InvalidArgument("index.json in the archive is not an index")
    return parsed.manifests


def _manifest_for(
    store: Store, members: Members, descriptor: Descriptor, wanted: Platform, depth: int
) -> Digest | None:
    """The image manifest that an entry leads to on a platform; None for what is no image (attestations)."""
    if depth == 0:
        raise InvalidArgument("index.json in the archive is nested too deeply")
    if descriptor.platform is not None and descriptor.platform.os == "unknown":
        return None
    member = members.blob_of(descriptor.digest)
    if member.size != descriptor.size:
        raise Corrupt(f"manifest {descriptor.digest} has {member.size} bytes, {descriptor.size} were declared")
    data = _manifest_bytes(store, member.digest)
    parsed = documents.decode(data, descriptor.media_type)
    if isinstance(parsed, documents.Manifest):
        return descriptor.digest if parsed.config.media_type in media.CONFIGS else None
    chosen = documents.choose(parsed, wanted)
    if chosen is None:
        raise NotFound(f"image {descriptor.digest} was found but does not match the specified platform")
    return _manifest_for(store, members, chosen, wanted, depth - 1)


def _config_of(store: Store, manifest: Digest) -> Digest:
    parsed = documents.decode(_manifest_bytes(store, manifest))
    if not isinstance(parsed, documents.Manifest):
        raise InvalidArgument(f"{manifest} is an index, not the manifest of one image")
    return parsed.config.digest


def _manifest_bytes(store: Store, digest: Digest) -> bytes:
    return _bounded(store, digest, store.documents_limits.manifest_bytes)


def _config_bytes(store: Store, digest: Digest) -> bytes:
    return _bounded(store, digest, store.documents_limits.config_bytes)


def _bounded(store: Store, digest: Digest, limit: int) -> bytes:
    if store.content.size(digest) > limit:
        raise InvalidArgument(f"document {digest} is larger than the limit of {limit} bytes ({strict.OPTION})")
    return store.content.read(digest, limit)


def _annotated_name(descriptor: Descriptor) -> Reference | None:
    """The name that an entry of index.json carries; a bare tag without a repository is none."""
    text = descriptor.annotations.get(_NAME_ANNOTATION)
    if text is None:
        text = descriptor.annotations.get(_REF_ANNOTATION, "")
        if ":" not in text:
            return None
    return _tag_name(text)


def _tag_name(text: str) -> Reference:
    try:
        return references.parse_tagged(text)
    except InvalidArgument as error:
        raise InvalidArgument(f'invalid tag "{text[:200]}" in the archive: {error.message}') from error


def _compose(store: Store, members: Members, item: ArchiveImage) -> Digest:
    """An OCI manifest for an image that the archive describes in Docker's older way."""
    config = members.blob(item.config)
    parsed = documents.decode_config(_config_bytes(store, config.digest))
    expected, got = len(parsed.rootfs.diff_ids), len(item.layers)
    if expected != got:
        raise InvalidArgument(f"invalid manifest, layers length mismatch: expected {expected}, got {got}")
    layers: list[Descriptor] = []
    for path in item.layers:
        layer = members.blob(path)
        with store.content.open(layer.digest) as blob:
            kind = compression.detect(blob.read(16))
        if kind not in _ENCODING_MEDIA:
            raise Unsupported(f"layer {path} is compressed with {kind}: use gzip, zstd or none")
        layers.append(Descriptor(_ENCODING_MEDIA[kind], layer.digest, layer.size))
    return compose_manifest(store, Descriptor(media.OCI_CONFIG, config.digest, config.size), layers)


def compose_manifest(store: Store, config: Descriptor, layers: list[Descriptor]) -> Digest:
    """Stores the OCI manifest of a config and its layers and returns its digest."""
    manifest = documents.Manifest(schema_version=2, media_type=media.OCI_MANIFEST, config=config, layers=tuple(layers))
    return store.content.put(msgspec.json.encode(manifest))


def _bring_in(store: Store, found: _Found, progress: Progress) -> list[str]:
    """Unpacks one image and names it; tells Docker's lines."""
    manifest = documents.decode(_manifest_bytes(store, found.manifest))
    if not isinstance(manifest, documents.Manifest):
        raise InvalidArgument(f"{found.manifest} is an index, not the manifest of one image")
    if not store.content.has(manifest.config.digest):
        raise NotFound(f"invalid archive: blob {manifest.config.digest} is named in it but not there")
    config = documents.decode_config(_config_bytes(store, manifest.config.digest))
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise InvalidArgument(
            f"invalid manifest, layers length mismatch: expected {len(diff_ids)}, got {len(manifest.layers)}"
        )
    parent: Digest | None = None
    for layer, diff_id in zip(manifest.layers, diff_ids, strict=True):
        parent = _unpack(store, layer, parent, digests.parse(diff_id), progress)
    image = store.add(found.manifest)
    return _name(store, image, found, progress)


def _unpack(store: Store, layer: Descriptor, parent: Digest | None, diff_id: Digest, progress: Progress) -> Digest:
    chain = digests.chain(parent, diff_id)
    if store.has_chain(chain):
        return chain
    if not store.content.has(layer.digest):
        raise NotFound(f"invalid archive: blob {layer.digest} is named in it but not there")
    meter = Meter(progress, "Loading layer", digests.short(diff_id), layer.size)
    return store.unpack_layer(layer, parent, diff_id, meter)


def _name(store: Store, image: Digest, found: _Found, progress: Progress) -> list[str]:
    names = found.names
    if not names:
        progress(output(f"Loaded image ID: {image}"))
        return [image]
    for name in names:
        previous = store.owner_of(name)
        if previous is not None and previous != image:
            progress(
                output(
                    f"The image {name.familiar} already exists, renaming the old one with ID {previous} to empty string"
                )
            )
        index = found.index_of(name)
        if index is not None:
            store.put_under(index, image, name)
        else:
            store.tag(image, str(name))
        progress(output(f"Loaded image: {name.familiar}"))
    return [name.familiar for name in names]
