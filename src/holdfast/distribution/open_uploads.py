# SPDX-License-Identifier: Apache-2.0
"""Which uploads registries have open for us, so that the next push, even of the next daemon, goes on with them.

Only hints: a registry may have forgotten an upload, and then it begins anew. Written after each part of a large blob, so a
kill of the daemon costs no more than the part under way. Kept in `metadata`, bucket `uploads`; a location may be a signed
address and leaves neither that file nor the requests to the registry. Called by `distribution.uploads`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import Corrupt, HoldfastError

if TYPE_CHECKING:
    from holdfast.metadata import Store
    from holdfast.oci.digest import Digest

BUCKET = "uploads"
_MOST = 256
_LIFE_SECONDS = 7 * 86400


class _Record(msgspec.Struct, frozen=True):
    location: str
    seconds: float


class Claim:
    """One push's hold on an upload; `location` is where an earlier push left it, or empty.

    Of two pushes of one blob at once only the first has a claim that remembers anything.
    """

    def __init__(self, uploads: OpenUploads, key: str, location: str, *, is_first: bool) -> None:
        self._uploads = uploads
        self._key = key
        self._is_first = is_first
        self.location = location

    def keep(self, location: str) -> None:
        """Notes where the upload goes on."""
        if self._is_first:
            self._uploads.put(self._key, location)

    def drop(self) -> None:
        """Notes that there is nothing to go on with."""
        self.location = ""
        if self._is_first:
            self._uploads.delete(self._key)


class OpenUploads:
    """The memory of one daemon; thread-safe."""

    def __init__(self, metadata: Store, clock: Callable[[], float] = time.time) -> None:
        self._metadata = metadata
        self._clock = clock
        self._lock = threading.Lock()
        self._claimed: set[str] = set()

    @contextmanager
    def claim(self, repository: str, digest: Digest) -> Generator[Claim]:
        """The upload of a blob to a repository, which is named by its address; what is not dropped stays known."""
        key = f"{repository}@{digest}"
        with self._lock:
            is_first = key not in self._claimed
            self._claimed.add(key)
        try:
            yield Claim(self, key, self._get(key) if is_first else "", is_first=is_first)
        finally:
            if is_first:
                with self._lock:
                    self._claimed.discard(key)

    def _get(self, key: str) -> str:
        try:
            record = _decode(self._metadata.get(BUCKET, key))
        except Corrupt:
            return ""
        return record.location if record is not None and self._is_alive(record) else ""

    def put(self, key: str, location: str) -> None:
        """Remembers an upload, forgets those that no registry can still have; a write that fails costs time only."""
        known = self._metadata.items(BUCKET)
        ages = {other: record.seconds for other, data in known if (record := _decode(data)) and self._is_alive(record)}
        stale = [other for other, _ in known if other not in ages]
        stale += sorted(ages, key=lambda other: ages[other])[: max(0, len(ages) - _MOST)]
        with suppress(HoldfastError), self._metadata.transaction(durable=False) as transaction:
            for other in stale:
                transaction.delete(BUCKET, other)
            transaction.put(BUCKET, key, msgspec.json.encode(_Record(location, self._clock())))

    def delete(self, key: str) -> None:
        """Forgets an upload."""
        with suppress(HoldfastError):
            if self._metadata.get(BUCKET, key) is not None:
                with self._metadata.transaction(durable=False) as transaction:
                    transaction.delete(BUCKET, key)

    def _is_alive(self, record: _Record) -> bool:
        return abs(self._clock() - record.seconds) < _LIFE_SECONDS


def _decode(data: bytes | None) -> _Record | None:
    try:
        return msgspec.json.decode(data, type=_Record) if data else None
    except msgspec.MsgspecError:
        return None
