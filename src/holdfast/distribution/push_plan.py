# SPDX-License-Identifier: Apache-2.0
"""What a push sends: the layers of an image or of all images of an index, and which blobs may stand for them. Pure,
except that the documents of an index are read. Called by `distribution.push` and the job push of `engine`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from holdfast import content
from holdfast.distribution import packing
from holdfast.distribution.origins import Origin
from holdfast.distribution.progress import Message
from holdfast.errors import InvalidArgument, NotFound
from holdfast.images import indexes
from holdfast.images.indexes import Node, Tree
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import platform as platforms
from holdfast.oci import strict
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

_MOST_MOUNTS = 4


class Image(Protocol):
    """What a push reads of an image."""

    @property
    def id(self) -> Digest: ...
    @property
    def manifest(self) -> Digest: ...
    @property
    def repo_digests(self) -> tuple[str, ...]: ...
    @property
    def layers(self) -> tuple[Digest, ...]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer to be pushed; `is_plain` when it is to be compressed first."""

    descriptor: Descriptor
    diff_id: Digest
    is_plain: bool

    @property
    def identifier(self) -> str:
        return digests.short(self.diff_id)


def plan_layers(image: Image, manifest: documents.Manifest) -> list[Layer]:
    """The layers, base first, and which of them to compress: none of an image that some registry has as it is; pure."""
    is_published = any(name.endswith(f"@{image.manifest}") for name in image.repo_digests)
    return [
        Layer(
            descriptor=descriptor,
            diff_id=diff_id,
            is_plain=not is_published and descriptor.media_type in packing.PLAIN,
        )
        for descriptor, diff_id in zip(manifest.layers, image.layers, strict=True)
    ]


def find_tree(index: Digest | None, store: content.Store) -> Tree | None:
    """What the index leads to; None without an index, and for one that is not here any more."""
    tree = indexes.walk(store, index) if index is not None else None
    return tree if tree is not None and tree.nodes else None


def plan_platform(tree: Tree, wanted: Platform, reference: Reference, store: content.Store) -> Node:
    """The manifest of an index that fits the platform best; NotFound in Docker's words when none is here."""
    ranked = [
        (rank, place, node)
        for place, node in enumerate(tree.nodes)
        if node.manifest is not None
        and node.descriptor.platform is not None
        and indexes.is_held(node, store)
        and (rank := platforms.rank(wanted, node.descriptor.platform)) is not None
    ]
    if not ranked:
        raise NotFound(
            f"image with reference {reference.familiar} was found but does not provide the specified platform ({wanted})"
        )
    return min(ranked)[2]


def layers_of(node: Node, store: content.Store) -> list[Layer]:
    """A manifest's layers as they are, known by the config's diff ids where it has them (an attestation's may not)."""
    if node.manifest is None:
        return []
    blobs = node.manifest.layers
    try:
        config = documents.decode_config(store.read(node.manifest.config.digest, strict.STORED_MAX_BYTES))
        diff_ids = config.rootfs.diff_ids
    except InvalidArgument:
        diff_ids = ()
    if len(diff_ids) != len(blobs):
        diff_ids = tuple(blob.digest for blob in blobs)
    return [
        Layer(descriptor=blob, diff_id=diff_id, is_plain=False) for blob, diff_id in zip(blobs, diff_ids, strict=True)
    ]


def instead_of_index(tree: Tree, pushed: Descriptor) -> Message:
    """Tells that not all of an index is here, in the member that the docker CLI makes a note of."""
    note = {
        "manifestPushedInsteadOfIndex": True,
        "originalIndex": tree.nodes[-1].descriptor.to_json(),
        "selectedManifest": pushed.to_json(),
    }
    return {"progressDetail": {}, "aux": note}


def forms(layer: Layer, known: list[Origin]) -> list[Descriptor]:
    """The blobs that may stand for the layer: its own, or for a plain one those that earlier pushes made."""
    if not layer.is_plain:
        return [layer.descriptor]
    return list({origin.digest: origin.descriptor for origin in known if can_stand_for(origin, layer)}.values())


def can_stand_for(origin: Origin, layer: Layer) -> bool:
    """Tells whether a blob that was packed or unpacked here is a compressed form of the layer, of its manifest's family."""
    own = layer.descriptor.media_type
    if own in packing.PLAIN:
        return origin.is_verified and origin.media_type == packing.PLAIN[own]
    families = [media_type.rpartition(".tar")[0] for media_type in (own, origin.media_type)]
    return origin.is_verified and families[0] == families[1]


def neighbours(descriptor: Descriptor, known: list[Origin], path: str) -> Iterator[str]:
    """Repositories of the same registry that have the blob, as far as is known; a few."""
    found = [origin.path for origin in known if origin.digest == descriptor.digest and origin.path != path]
    yield from found[:_MOST_MOUNTS]
