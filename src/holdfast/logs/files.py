# SPDX-License-Identifier: Apache-2.0
"""The files of one log on disk: the current one, the rotated ones, where a tail begins, what follows what.

Called by `reader` (the daemon's side); the files may be rotated by a shim at any moment.
"""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

_PATIENCE = 100
"""Looks at a log that is rotated while we look; then its shim is taken for dead in the middle of a rotation."""
_MAX_ROTATED = 1000


@dataclass(slots=True)
class Source:
    """An open file of the log, positioned where reading begins; `gzip.GzipFile` when it is compressed."""

    file: BinaryIO | gzip.GzipFile
    inode: int
    modified_nanos: int


def open_all(path: str) -> list[Source]:
    """Opens what there is, oldest first; the last one is the current file (none when there is no log yet)."""
    for attempt in range(_PATIENCE):
        sources: list[Source] = []
        missing = 0
        for number in range(_MAX_ROTATED):
            source = _open(path if number == 0 else f"{path}.{number}")
            if source is None:
                missing += 1
                if missing > 1:  # one may be missing while a rotation is under way
                    break
            elif sources and source.inode == sources[-1].inode:
                source.file.close()  # renamed while we looked
            else:
                sources.append(source)
        if not sources or is_current(path, sources[0]) or (attempt == _PATIENCE - 1 and not os.path.exists(path)):
            return sources[::-1]
        close_all(sources)  # rotated while we looked: some file would be read twice or not at all
    return []


def open_after(path: str, source: Source) -> list[Source]:
    """Opens what came after a file that was read to its end, oldest first; empty when it is still the current one.

    A file that was compressed in the meantime is known by its age and size.
    """
    if is_current(path, source):
        return []
    sources = open_all(path)
    for position, each in enumerate(sources):
        if each.inode == source.inode or _is_compressed_of(each, source):
            close_all(sources[: position + 1])
            return sources[position + 1 :]
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


def seek_tail(
    sources: list[Source], count: int, seek_back: Callable[[BinaryIO, int], tuple[int, int]]
) -> tuple[list[Source], int]:
    """Positions the files at the last `count` entries; closes and leaves out those before. Reads from the end.

    Also returns how many entries are to be skipped from there.
    """
    missing, skipped = count, 0
    for index in range(len(sources) - 1, -1, -1):
        source = sources[index]
        if isinstance(source.file, gzip.GzipFile):
            with source.file as compressed:
                source.file = plain = io.BytesIO(compressed.read())
        else:
            plain = source.file
        missing, skipped = seek_back(plain, missing)
        if missing <= 0:
            close_all(sources[:index])
            return sources[index:], skipped
    return sources, skipped


def _open(path: str) -> Source | None:
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115  (the source owns it)
    except FileNotFoundError:
        return _open_compressed(f"{path}.gz")
    about = os.fstat(file.fileno())
    return Source(file, about.st_ino, 0)


def _open_compressed(path: str) -> Source | None:
    try:
        file = gzip.open(path, "rb")  # noqa: SIM115  (the source owns it)
    except OSError:
        return None
    about = os.fstat(file.fileno())
    return Source(file, about.st_ino, about.st_mtime_ns)


def _is_compressed_of(source: Source, plain: Source) -> bool:
    """Whether a compressed file was made of one that we had open (see `archive`)."""
    if not isinstance(source.file, gzip.GzipFile) or not isinstance(plain.file, io.FileIO):
        return False
    about = os.fstat(plain.file.fileno())
    if about.st_mtime_ns != source.modified_nanos:
        return False
    end = os.pread(source.file.fileno(), 4, os.fstat(source.file.fileno()).st_size - 4)
    return int.from_bytes(end, "little") == about.st_size & 0xFFFFFFFF
