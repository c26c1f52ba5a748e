# SPDX-License-Identifier: Apache-2.0
"""One blob on its way in: written to a partial file, hashed as it passes, named only when it is what was promised.

A partial file survives a dropped line or a dead daemon: the next ingest of the same `ref` goes on at `offset`.
Bytes beyond the declared size are refused at once, so a lying peer costs no more disk than it announced.
Made by `Store.ingest`; used by distribution (pull, push), images (load, import) and registry (uploads).
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, BinaryIO

from holdfast.errors import Conflict, Corrupt, Exhausted, InvalidArgument
from holdfast.kernel import writeback
from holdfast.oci.digest import ALGORITHM, Digest, Hasher, algorithm

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_CHUNK_BYTES = 1 << 20


class Ingest:
    """A blob being written; a context manager that keeps a resumable partial and drops any other.

    `offset` is how much is already there. Not for use from two threads at once.
    """

    def __init__(
        self,
        path: str,
        *,
        expected: Digest | None,
        size: int | None,
        resumable: bool,
        publish: Callable[[str, Digest], None],
        release: Callable[[], None],
    ) -> None:
        if size is not None and size < 0:
            raise InvalidArgument(f"invalid blob size {size}")
        self._path = path
        self._expected = expected
        self._size = size
        self._resumable = resumable
        self._publish = publish
        self._release = release
        self._hasher = Hasher(algorithm(expected) if expected else ALGORITHM)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.offset = self._started = 0
        try:
            self._resume()
        except BaseException:
            os.close(self._fd)
            raise

    def _resume(self) -> None:
        """Hashes what an earlier attempt left; what cannot be resumed starts anew."""
        if not self._resumable:
            os.ftruncate(self._fd, 0)
            return
        while chunk := os.read(self._fd, _CHUNK_BYTES):
            self._hasher.update(chunk)
            self.offset += len(chunk)
        if self._size is not None and self.offset > self._size:
            self.restart()

    def restart(self) -> None:
        """Forgets all bytes so far (the peer cannot resume)."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._hasher = Hasher(algorithm(self._expected) if self._expected else ALGORITHM)
        self.offset = self._started = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Appends; Corrupt when it is more than was declared, Exhausted when the disk is full."""
        view = memoryview(data)
        total = len(view)
        if self._size is not None and self.offset + total > self._size:
            self.abort()
            raise Corrupt(f"{self._label()} is larger than the {self._size} bytes declared for it")
        try:
            written = os.write(self._fd, view)
            while written < total:
                written += os.write(self._fd, view[written:])
        except OSError as error:
            raise _storage_error(error, self._label()) from error
        self._hasher.update(view)
        self.offset += total
        if self.offset - self._started >= writeback.STEP_BYTES:
            writeback.start(self._fd, self._started, self.offset - self._started)
            self._started = self.offset
        return total

    def commit(self, expected: Digest | None = None) -> Digest:
        """Verifies size and digest, makes the blob durable and gives it its name; Corrupt removes what was written.

        `expected` is for those who learn the digest only at the end; one of another algorithm costs a second reading.
        """
        if expected is not None:
            self._expect(expected)
        found = self._hasher.digest()
        if self._size is not None and self.offset != self._size:
            self.abort()
            raise Corrupt(f"{self._label()} has {self.offset} bytes, {self._size} were declared")
        if self._expected is not None and found != self._expected:
            self.abort()
            raise Corrupt(f"{self._label()} failed verification: its content is {found}")
        if self._fd < 0:
            raise Conflict(f"{self._label()} is already closed")
        try:
            os.fsync(self._fd)
            self._publish(self._path, found)
        except OSError as error:
            raise _storage_error(error, self._label()) from error
        self.close()
        return found

    def _expect(self, expected: Digest) -> None:
        self._expected = expected
        if algorithm(expected) != algorithm(self._hasher.digest()):
            self._hasher = Hasher(algorithm(expected))
            position = 0
            while chunk := os.pread(self._fd, _CHUNK_BYTES, position):
                self._hasher.update(chunk)
                position += len(chunk)

    def open_reader(self) -> BinaryIO:
        """A reader of what is written so far and will be: for whoever passes bytes on before they are verified."""
        return open(self._path, "rb", buffering=0)

    def abort(self) -> None:
        """Gives up and deletes the partial file."""
        if self._fd >= 0:
            os.unlink(self._path)
            self.close()

    def close(self) -> None:
        """Lets go of the partial file and leaves it for a later attempt."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            self._release()

    def __enter__(self) -> Ingest:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._resumable:
            self.close()
        else:
            self.abort()

    def _label(self) -> str:
        return f"blob {self._expected}" if self._expected else "blob"


def _storage_error(error: OSError, label: str) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return Exhausted(f"no space left for {label}: {os.strerror(error.errno)}")
    return error
