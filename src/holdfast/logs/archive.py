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


def rotate(path: str, max_files: int, is_compressed: bool) -> None:
    """Moves `path` out of the way and keeps `max_files` - 1 old files. One rename per file."""
    if max_files < 2:
        return
    for suffix in (".gz", ""):
        _remove(f"{path}.{max_files - 1}{suffix}")
        for number in range(max_files - 2, 0, -1):
            _rename(f"{path}.{number}{suffix}", f"{path}.{number + 1}{suffix}")
    _rename(path, f"{path}.1")
    if is_compressed:
        _compress(f"{path}.1")


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
    """Replaces a file by its .gz; the file stays as it is when the disk is full."""
    compressor = zlib.compressobj(_FASTEST, zlib.DEFLATED, _GZIP)
    half = f"{path}.gz.tmp"
    try:
        with open(path, "rb", buffering=0) as source, open(half, "wb", opener=_private) as target:
            while chunk := source.read(_CHUNK):
                target.write(compressor.compress(chunk))
            target.write(compressor.flush())
        os.rename(half, f"{path}.gz")
        os.unlink(path)
    except OSError:
        _remove(half)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, _MODE)
