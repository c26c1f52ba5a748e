# SPDX-License-Identifier: Apache-2.0
"""The members of an image archive, by name: documents in memory, layers spooled straight into the content store.

Nothing of the archive ever gets a path on disk: a member's name is only a key here, so `../../etc/passwd` as a config's
name or a symlink as a layer finds what the archive itself holds or nothing (security.md §2.2 cfgpath, layerpath,
symlayer). A blob under `blobs/sha256/` must have the digest it is named by.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, NamedTuple

from holdfast.content import compression
from holdfast.errors import Exhausted, InvalidArgument, NotFound
from holdfast.oci import digest as digests
from holdfast.oci import strict
from holdfast.oci.digest import Digest
from holdfast.snapshots.tar import Entry, Kind, Limits, Reader

if TYPE_CHECKING:
    from holdfast.content import Store

_IN_MEMORY = frozenset({"manifest.json", "index.json", "oci-layout", "repositories"})
_LINK_DEPTH = 16
_LIMITS = Limits(entries=200_000)


class Member(NamedTuple):
    """A blob of the archive in the content store."""

    digest: Digest
    size: int


class Members:
    """All of an archive's members once it has been read; needs an open lease of the content store."""

    def __init__(self, content: Store) -> None:
        self._content = content
        self._documents: dict[str, bytes] = {}
        self._blobs: dict[str, Member] = {}
        self._links: dict[str, str] = {}

    def take_in(
        self, stream: compression.Readable, limits: compression.Limits, documents: strict.Limits = strict.DEFAULT_LIMITS
    ) -> None:
        """Reads the whole archive, which may be compressed; InvalidArgument, Corrupt, Exhausted."""
        reader = Reader(compression.Reader(stream, limits=limits), _LIMITS._replace(total_bytes=limits.total_bytes))
        for entry in reader:
            name = _clean(entry.name.decode("utf-8", "surrogateescape"))
            if entry.kind in (Kind.SYMLINK, Kind.HARD_LINK):
                link = entry.link.decode("utf-8", "surrogateescape")
                base = posixpath.dirname(name) if entry.kind == Kind.SYMLINK else ""
                self._links[name] = _clean(posixpath.join(base, link))
            elif entry.kind == Kind.FILE and name in _IN_MEMORY:
                limit = documents.manifest_bytes
                if entry.size > limit:
                    raise Exhausted(f"{name} in the archive is {entry.size} bytes, more than {limit} ({strict.OPTION})")
                self._documents[name] = reader.read(limit)
            elif entry.kind == Kind.FILE:
                self._blobs[name] = self._spool(reader, entry, name)
        reader.drain()

    def _spool(self, reader: Reader, entry: Entry, name: str) -> Member:
        expected = _named_digest(name)
        if expected is not None and self._content.has(expected):
            hasher = digests.Hasher(digests.algorithm(expected))
            for chunk in reader.chunks():
                hasher.update(chunk)
            if hasher.digest() != expected:
                raise InvalidArgument(f"{name} in the archive has another digest: {hasher.digest()}")
            return Member(expected, entry.size)
        with self._content.ingest(f"load-{id(self)}-{name}", expected, entry.size, resumable=False) as blob:
            for chunk in reader.chunks():
                blob.write(chunk)
            return Member(blob.commit(), entry.size)

    def document(self, name: str) -> bytes | None:
        """The content of `manifest.json`, `index.json`, `oci-layout`; None when the archive has none."""
        return self._documents.get(self._follow(name))

    def blob(self, name: str) -> Member:
        """The blob that a path within the archive leads to; InvalidArgument when there is none."""
        found = self._blobs.get(self._follow(_clean(name)))
        if found is None:
            raise InvalidArgument(f"invalid archive: {name[:200]!r} is named in it but not there")
        return found

    def blob_of(self, digest: Digest) -> Member:
        """The blob with that digest, from the archive or from the store; NotFound."""
        for name in (f"blobs/{digests.algorithm(digest)}/{digests.encoded(digest)}",):
            found = self._blobs.get(self._follow(name))
            if found is not None:
                return found
        if self._content.has(digest):
            return Member(digest, self._content.size(digest))
        raise NotFound(f"invalid archive: blob {digest} is named in it but not there")

    def _follow(self, name: str) -> str:
        for _ in range(_LINK_DEPTH):
            if name not in self._links:
                return name
            name = self._links[name]
        raise InvalidArgument(f"invalid archive: {name[:200]!r} is a loop of links")


def _clean(name: str) -> str:
    """The name as a key: no leading slash, no `.` and no climbing `..`."""
    return posixpath.normpath("/" + name).lstrip("/")


def _named_digest(name: str) -> Digest | None:
    parts = name.split("/")
    if len(parts) == 3 and parts[0] == "blobs" and digests.is_digest(f"{parts[1]}:{parts[2]}"):
        return Digest(f"{parts[1]}:{parts[2]}")
    return None
