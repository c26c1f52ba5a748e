# SPDX-License-Identifier: Apache-2.0
"""Layers on their way from blobs to snapshots, and out again when nobody needs them.

Thread-safe. Holds no records: which chains and blobs are needed is told by the image store. What was unpacked or asked
for while a content lease is open is spared, since its image may not be recorded yet. Called by `images.store` only.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol

from holdfast.content import compression
from holdfast.errors import AlreadyExists, Corrupt, InvalidArgument, NotFound
from holdfast.oci import digest as digests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from holdfast.content import Store as ContentStore
    from holdfast.oci.descriptor import Descriptor
    from holdfast.oci.digest import Digest
    from holdfast.snapshots import Driver


class Readable(Protocol):
    """Whatever bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class Layers:
    """The unpacked layers of one data root."""

    def __init__(
        self, content: ContentStore, snapshots: Driver, limits: compression.Limits, clock: Callable[[], int]
    ) -> None:
        self.limits = limits
        self._content = content
        self._snapshots = snapshots
        self._clock = clock
        self._lock = threading.Lock()
        self._fresh: set[str] = set()
        self._serial = 0

    def has(self, chain_id: Digest) -> bool:
        """Tells whether the layers up to this one are unpacked; if so they stay until the caller's lease ends."""
        with self._lock:
            self._fresh.add(chain_id)
        return self._snapshots.exists(chain_id)

    def unpack_blob(
        self,
        descriptor: Descriptor,
        parent: Digest | None,
        diff_id: Digest,
        on_read: Callable[[int], None] | None,
    ) -> Digest:
        """Unpacks a blob, compressed or not, on its parent chain; returns the new chain id; a no-op if it is there.

        A blob that the disk has changed is removed and named by a Corrupt.
        """
        chain = digests.chain(parent, diff_id)
        if not self.has(chain):
            try:
                with self._content.open(descriptor.digest) as blob:
                    stream = compression.Reader(_Counted(blob, on_read), limits=self.limits)
                    self.unpack(stream, parent, expected=diff_id)
            except (Corrupt, InvalidArgument):
                self._content.verify(descriptor.digest)
                raise
        return chain

    def unpack(self, stream: Readable, parent: Digest | None, expected: Digest | None) -> Digest:
        """Unpacks an uncompressed layer tar on its parent chain; returns its diff id, Corrupt when another is due."""
        with self._lock:
            self._serial += 1
            key = f"unpack-{self._clock():x}-{self._serial}"
        self._snapshots.prepare(key, parent)
        try:
            applied = self._snapshots.apply(key, stream)
            if expected is not None and applied.diff_id != expected:
                raise Corrupt(f"layer verification failed: expected {expected}, its content is {applied.diff_id}")
            self._commit(digests.chain(parent, applied.diff_id), key)
        except BaseException:
            if self._snapshots.exists(key):
                self._snapshots.remove(key)
            raise
        return applied.diff_id

    def _commit(self, chain: Digest, key: str) -> None:
        """Names an unpacked layer; if somebody else was quicker, theirs stays and this one goes."""
        with self._lock:
            self._fresh.add(chain)
        try:
            self._snapshots.commit(chain, key)
        except AlreadyExists:
            self._snapshots.remove(key)

    def collect(self, needed: Iterable[Digest]) -> list[str]:
        """Deletes the layers that are neither needed, nor below a container, nor fresh; returns their chain ids."""
        with self._lock:
            if not self._content.is_leased():
                self._fresh.clear()
            wanted: set[str] = {*self._fresh, *needed}
            for key in self._snapshots.iter_keys():
                below = self._parent(key)
                while below is not None and below not in wanted:
                    wanted.add(below)
                    below = self._parent(below)
            gone = [chain for chain in self._snapshots.iter_names() if chain not in wanted]
            for chain in gone:
                self._snapshots.remove(chain)
        return gone

    def _parent(self, key: str) -> str | None:
        """What is below a snapshot; one that has been committed or removed since it was listed needs nothing more.

        Nor does a damaged one: what it stood on is kept by its image, which cannot be removed unless by force.
        """
        try:
            return self._snapshots.parent(key)
        except (NotFound, Corrupt):
            return None


class _Counted:
    """A reader that tells how far it has come."""

    def __init__(self, source: Readable, on_read: Callable[[int], None] | None) -> None:
        self._source = source
        self._on_read = on_read
        self._count = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if self._on_read is not None and data:
            self._count += len(data)
            self._on_read(self._count)
        return data
