# SPDX-License-Identifier: Apache-2.0
"""The files of one log on disk: the current one, the rotated ones, where a tail begins, what follows what.

Called by `reader` (the daemon's side); the files may be rotated by a shim at any moment.
"""

from __future__ import annotations

import gzip
import io
import os
from dataclasses import dataclass
from typing import BinaryIO

_BLOCK = 64 * 1024
_MAX_ROTATED = 1000


@dataclass(slots=True)
class Source:
    """An open file of the log, positioned where reading begins."""

    file: BinaryIO
    inode: int


def open_all(path: str) -> list[Source]:
    """Opens what there is, oldest first; the last one is the current file (none when there is no log yet)."""
    while True:
        sources: list[Source] = []
        for number in range(_MAX_ROTATED):
            source = _open(path if number == 0 else f"{path}.{number}")
            if source is None:
                break
            sources.append(source)
        if not sources or is_current(path, sources[0]):
            return sources[::-1]
        close_all(sources)  # rotated while we looked: some file would be read twice or not at all


def open_after(path: str, source: Source) -> list[Source]:
    """Opens what came after a file that was read to its end, oldest first; empty when it is still the current one."""
    if is_current(path, source):
        return []
    sources = open_all(path)
    for position, each in enumerate(sources):
        if each.inode == source.inode:
            close_all(sources[: position + 1])
            return sources[position + 1 :]
    is_compressed = os.path.exists(f"{path}.1.gz")  # then the file we read is one of these now
    if is_compressed:
        close_all(sources[:-1])
        return sources[-1:]
    return sources


def is_current(path: str, source: Source) -> bool:
    """Whether the file is the one that is being written."""
    try:
        return os.stat(path).st_ino == source.inode
    except FileNotFoundError:
        return False


def close_all(sources: list[Source]) -> None:
    """Closes files."""
    for source in sources:
        source.file.close()


def seek_tail(sources: list[Source], count: int) -> list[Source]:
    """Positions the files at the last `count` entries; closes and leaves out those before. Reads from the end."""
    missing = count
    for index in range(len(sources) - 1, -1, -1):
        missing = _seek_back(sources[index].file, missing)
        if missing <= 0:
            close_all(sources[:index])
            return sources[index:]
    return sources


def _seek_back(file: BinaryIO, count: int) -> int:
    """Positions a file at its last `count` lines; returns how many it lacks."""
    end = file.seek(0, os.SEEK_END)
    if count <= 0:
        return 0
    position = end
    while position > 0:
        start = max(0, position - _BLOCK)
        file.seek(start)
        block = file.read(position - start)
        if position == end and block.endswith(b"\n"):
            block = block[:-1]  # the last line's own end is not the beginning of another
        newlines = block.count(b"\n")
        if newlines >= count:
            cut = len(block)
            for _ in range(count):
                cut = block.rfind(b"\n", 0, cut)
            file.seek(start + cut + 1)
            return 0
        count -= newlines
        position = start
    file.seek(0)
    return count - 1 if end else count


def _open(path: str) -> Source | None:
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115  (the source owns it)
    except FileNotFoundError:
        return _open_compressed(f"{path}.gz")
    return Source(file, os.fstat(file.fileno()).st_ino)


def _open_compressed(path: str) -> Source | None:
    try:
        with gzip.open(path, "rb") as file:
            return Source(io.BytesIO(file.read()), os.stat(path).st_ino)
    except (OSError, EOFError):
        return None
