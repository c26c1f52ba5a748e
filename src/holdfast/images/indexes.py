# SPDX-License-Identifier: Apache-2.0
"""Indexes that images came under: which documents and blobs they lead to, and how much of it is here.

An image is one platform's; the index that its name stood for is kept beside it, with whatever of the other platforms was
loaded or pulled, so that a save or push of the name gives the whole again. Reads documents only. Called by `images.store`,
`images.archive_save` and `distribution.push`. Source: OCI image-spec v1.1 §image-index.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import HoldfastError
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.content import Store as ContentStore
    from holdfast.oci.digest import Digest

_DEPTH = 4
_MOST = 1000


class Node(NamedTuple):
    """A document of a tree: an index, or the manifest of one image (or attestation)."""

    descriptor: Descriptor
    data: bytes
    manifest: documents.Manifest | None

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """What the manifest names: its config and its layers."""
        return (self.manifest.config, *self.manifest.layers) if self.manifest is not None else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """What an index leads to: the documents that are here, each after those it names, and those that are not."""

    nodes: tuple[Node, ...]
    missing: tuple[Digest, ...]

    def digests(self) -> Iterator[Digest]:
        """Everything of the tree that is here or may be."""
        for node in self.nodes:
            yield node.descriptor.digest
            yield from (blob.digest for blob in node.blobs)

    def is_complete(self, content: ContentStore) -> bool:
        """Tells whether all documents and blobs are here."""
        return bool(self.nodes) and not self.missing and all(is_held(node, content) for node in self.nodes)


def is_held(node: Node, content: ContentStore) -> bool:
    """Tells whether a document's blobs are here; those that no registry hands out need not be."""
    return all(blob.media_type in media.FOREIGN_LAYERS or content.has(blob.digest, blob.size) for blob in node.blobs)


def is_index(content: ContentStore, digest: Digest) -> bool:
    """Tells whether a digest is that of an index that is here."""
    try:
        return isinstance(documents.decode(content.read(digest, strict.STORED_MAX_BYTES)), documents.Index)
    except HoldfastError:
        return False


def walk(content: ContentStore, index: Digest) -> Tree:
    """The tree below an index; one whose root cannot be read has no nodes."""
    nodes: dict[Digest, Node] = {}
    missing: list[Digest] = []
    try:
        data = content.read(index, strict.STORED_MAX_BYTES)
        parsed = documents.decode(data)
    except HoldfastError:
        return Tree(nodes=(), missing=(index,))
    root = Descriptor(parsed.media_type or media.OCI_INDEX, index, len(data))
    _visit(content, root, data, parsed, nodes, missing, _DEPTH)
    return Tree(nodes=tuple(nodes.values()), missing=tuple(dict.fromkeys(missing)))


def _visit(
    content: ContentStore,
    descriptor: Descriptor,
    data: bytes,
    parsed: documents.Manifest | documents.Index,
    nodes: dict[Digest, Node],
    missing: list[Digest],
    depth: int,
) -> None:
    if isinstance(parsed, documents.Manifest):
        nodes[descriptor.digest] = Node(descriptor, data, parsed)
        return
    for entry in parsed.manifests:
        if entry.digest in nodes:
            continue
        if not depth or len(nodes) + len(missing) > _MOST or not content.has(entry.digest, entry.size):
            missing.append(entry.digest)
            continue
        try:
            below = content.read(entry.digest, strict.STORED_MAX_BYTES)
            child = documents.decode(below, entry.media_type)
        except HoldfastError:
            missing.append(entry.digest)
            continue
        _visit(content, entry, below, child, nodes, missing, depth - 1)
    nodes[descriptor.digest] = Node(descriptor, data, None)


class Trees:
    """The trees of all names, kept while nothing of them can have come: for the collection of garbage."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._known: dict[Digest, Tree] = {}

    def digests(self, indexes: Iterable[Digest]) -> set[Digest]:
        """Everything that the indexes lead to."""
        wanted = set(indexes)
        self._known = {index: self._tree(index) for index in wanted}
        return {digest for tree in self._known.values() for digest in tree.digests()}

    def _tree(self, index: Digest) -> Tree:
        known = self._known.get(index)
        if known is not None and not any(self._content.has(digest) for digest in known.missing):
            return known
        return walk(self._content, index)
