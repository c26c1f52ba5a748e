# SPDX-License-Identifier: Apache-2.0
"""Rotated log files: `x.log` becomes `x.log.1`, that `x.log.2` and so on; compressed ones end in `.gz` (boot path).

Called by the drivers that keep files. Compression costs the container about 10 ms per MB at each rotation: the fastest
level is used, because nobody else could do the work after the daemon's death.
"""

from __future__ import annotations

import os
import zlib

_CHUNK = 256 * 1024
_FASTEST = 1
_GZIP = 31
_MODE = 0o640
_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class RotatingFile:
    """The file that is being written, and its predecessors. A full disk drops what is appended, never half of it."""

    __slots__ = ("_fd", "_is_compressed", "_max_bytes", "_max_files", "_path", "size")

    def __init__(self, path: str, max_bytes: int, max_files: int, is_compressed: bool) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._is_compressed = is_compressed
        self._fd = os.open(path, _OPEN, _MODE)
        self.size = os.fstat(self._fd).st_size

    @property
    def is_open(self) -> bool:
        """Whether it can still be written."""
        return self._fd >= 0

    def room(self) -> int:
        """How many bytes fit before the limit; a file that has reached it makes way for a new one first. -1: no limit."""
        if not self._max_bytes:
            return -1
        if self.size >= self._max_bytes:
            self._rotate()
        return self._max_bytes - self.size

    def append(self, entries: bytes) -> None:
        """Writes whole entries, or nothing."""
        try:
            written = os.write(self._fd, entries)
            while written < len(entries):
                written += os.write(self._fd, entries[written:])
        except OSError:  # the disk is full: no torn entry stays, and the container goes on
            os.ftruncate(self._fd, self.size)
            return
        self.size += len(entries)

    def close(self) -> None:
        """Lets go of the file; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _rotate(self) -> None:
        """A reader finds the new file before the old one is compressed."""
        _shift(self._path, self._max_files)
        try:
            fd = os.open(self._path, _OPEN | os.O_TRUNC, _MODE)
        except OSError:  # not even a name fits on the disk: what is said now stays in the old file
            self._max_bytes = 2 * self.size
            return
        os.close(self._fd)
        self._fd = fd
        self.size = 0
        if self._is_compressed and self._max_files > 1:
            _compress(f"{self._path}.1")


def _shift(path: str, max_files: int) -> None:
    """Moves `path` out of the way and keeps `max_files` - 1 old files. One rename per file."""
    if max_files < 2:
        return
    for suffix in (".gz", ""):
        _remove(f"{path}.{max_files - 1}{suffix}")
        for number in range(max_files - 2, 0, -1):
            _rename(f"{path}.{number}{suffix}", f"{path}.{number + 1}{suffix}")
    _rename(path, f"{path}.1")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _rename(source: str, target: str) -> None:
    try:
        os.rename(source, target)
    except FileNotFoundError:
        return


def _compress(path: str) -> None:
    """Replaces a file by its .gz of the same age; the file stays as it is when the disk is full.

    By age and size a reader of the file knows it again (see `logs.files`).
    """
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    half = f"{path}.gz.tmp"
    try:
        with open(path, "rb", buffering=0) as source, open(half, "wb", opener=_private) as target:
            while chunk := source.read(_CHUNK):
                target.write(compressor.compress(chunk))
            target.write(compressor.flush())
            target.flush()
            times = os.fstat(source.fileno())
            os.utime(target.fileno(), ns=(times.st_atime_ns, times.st_mtime_ns))
        os.rename(half, f"{path}.gz")
        os.unlink(path)
    except OSError:
        _remove(half)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
