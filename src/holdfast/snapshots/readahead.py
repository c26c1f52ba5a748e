# SPDX-License-Identifier: Apache-2.0
"""Reads a layer's stream in a thread of its own, hashing it there, so that unpacking overlaps inflating and hashing.

sha256, inflate and read(2) release the GIL; the two threads meet in a queue of a few chunks. The source's errors come
out of `read`. `close` ends the thread within one chunk; it must be called (use `with`).
"""

from __future__ import annotations

import queue
import threading
from typing import TYPE_CHECKING, Protocol

from holdfast.oci.digest import Digest, Hasher

if TYPE_CHECKING:
    from types import TracebackType

_CHUNK_BYTES = 256 << 10
_DEPTH = 16


class Readable(Protocol):
    """Whatever bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class ReadAhead:
    """A readable that is ahead of its reader by up to 4 MiB, and the digest of all that went through it."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._hasher = Hasher()
        self._chunks: queue.Queue[bytes | BaseException] = queue.Queue(_DEPTH)
        self._is_closed = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="layer-read-ahead", daemon=True)
        self._thread.start()

    def read(self, size: int, /) -> bytes:
        """The next chunk whatever its size (`size` is a hint only); empty at the end."""
        del size
        if self._ended:
            return b""
        item = self._chunks.get()
        if isinstance(item, BaseException):
            self._ended = True
            raise item
        self._ended = not item
        return item

    def digest(self) -> Digest:
        """The digest of the whole stream; only after `read` has returned nothing."""
        if not self._ended:
            raise RuntimeError("the stream has not been read to its end")
        return self._hasher.digest()

    def close(self) -> None:
        """Ends the thread; what it had read is dropped."""
        self._is_closed = True
        while self._thread.is_alive():
            try:
                self._chunks.get(timeout=0.01)
            except queue.Empty:
                continue
        self._thread.join()

    def __enter__(self) -> ReadAhead:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            while not self._is_closed:
                chunk = self._source.read(_CHUNK_BYTES)
                if chunk:
                    self._hasher.update(chunk)
                self._chunks.put(chunk)
                if not chunk:
                    return
        except BaseException as error:  # noqa: BLE001 - it is raised again where the stream is read
            self._chunks.put(error)
