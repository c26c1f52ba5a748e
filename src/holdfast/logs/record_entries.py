# SPDX-License-Identifier: Apache-2.0
"""Turns the local driver's records back into what the container said (sans-IO; the daemon's side, never in the shim).

Damaged places (a file cut by hand, a disk that lied) are left out: reading goes on at the next record.
"""

from __future__ import annotations

import os
import time
from typing import BinaryIO

import msgspec

from holdfast.logs import records
from holdfast.logs.selection import STDERR, STDOUT, Said, Selection, render_details

_BILLION = 1_000_000_000
_PLAUSIBLE = 256 * 1024
_BLOCK = 256 * 1024
_attributes = msgspec.json.Decoder(dict[str, str])


class Decoder:
    """Decodes the files of one reading; `is_past` says that an entry after `until` has been seen."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._wanted = {STDOUT: selection.stdout, STDERR: selection.stderr}
        self._rest = b""
        self._skip = 0
        self.is_past = False

    def begin_file(self) -> None:
        """A record that the last file did not finish is damaged: forgets it."""
        self._rest = b""

    def skip(self, count: int) -> None:
        """Leaves out so many of the next entries."""
        self._skip = count

    def feed(self, data: bytes) -> list[Said]:
        """Takes the next bytes of the file, returns what the records finished by them say."""
        block = self._rest + data
        said: list[Said] = []
        position = 0
        while not self.is_past:
            length = _length_at(block, position)
            if length < 0:
                following = block.find(records.MAGIC, position + 1)
                position = following if following >= 0 else max(position, len(block) - len(records.MAGIC) + 1)
                if following < 0:
                    break
                continue
            if not length or position + length > len(block):
                break
            self._decode(block, position, said)
            position += length
        self._rest = block[position:]
        return said

    def _decode(self, block: bytes, position: int, said: list[Said]) -> None:
        _, size, attributes_size, stream, nanos = records.HEAD.unpack_from(block, position)
        selection = self._selection
        if selection.until and nanos > selection.until:
            self.is_past = True
            return
        start = position + records.HEAD.size + attributes_size
        texts = _lines(block[start : start + size])
        if self._skip:
            texts, self._skip = texts[self._skip :], max(0, self._skip - len(texts))
        if not self._wanted.get(stream) or nanos < selection.since:
            return
        prefix = b""
        if selection.timestamps:
            second, fraction = divmod(nanos, _BILLION)
            prefix = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{fraction:09d}Z ".encode()
        if selection.details:
            attributes = block[position + records.HEAD.size : start]
            prefix += f"{render_details(_decode_attributes(attributes))} ".encode()
        if prefix:
            said += [(stream, prefix + text) for text in texts]
        else:
            said += [(stream, text) for text in texts]


def _lines(payload: bytes) -> list[bytes]:
    """The lines with their newlines."""
    if b"\r" not in payload:
        return payload.splitlines(keepends=True)  # the quickest way, which would cut at carriage returns too
    pieces = payload.split(b"\n")
    last = pieces.pop()
    lines = [piece + b"\n" for piece in pieces]
    return [*lines, last] if last else lines


def _decode_attributes(text: bytes) -> dict[str, str]:
    try:
        return _attributes.decode(text) if text else {}
    except msgspec.DecodeError:
        return {}


def _length_at(block: bytes, position: int) -> int:
    """The whole length of the record that begins here; 0 when too little of it is there, -1 when it is none."""
    if len(block) - position < records.HEAD.size:
        return 0 if records.MAGIC.startswith(block[position : position + len(records.MAGIC)]) else -1
    magic, size, attributes_size, _, _ = records.HEAD.unpack_from(block, position)
    length = records.OVERHEAD + attributes_size + size
    if magic != records.MAGIC or length > _PLAUSIBLE:
        return -1
    if position + length > len(block):
        return length
    (repeated,) = records.FOOT.unpack_from(block, position + length - records.FOOT.size)
    return length if repeated == length else -1


def seek_back(file: BinaryIO, count: int) -> tuple[int, int]:
    """Positions a file at the record in which its last `count` entries begin.

    Returns how many entries the file lacks, and how many of that record's entries come before them. One read per
    record, from the end; a damaged file is read from its beginning instead.
    """
    position = file.seek(0, os.SEEK_END)
    while position > 0 and count > 0:
        record = _record_before(file, position)
        if record is None:
            return _seek_forward(file, count, position)
        start, entries = record
        position = start
        if entries >= count:
            file.seek(start)
            return 0, entries - count
        count -= entries
    file.seek(position)
    return count, 0


def _record_before(file: BinaryIO, end: int) -> tuple[int, int] | None:
    """Where the record that ends at `end` begins, and its number of entries; None when there is none."""
    if end < records.OVERHEAD:
        return None
    file.seek(end - records.FOOT.size)
    (length,) = records.FOOT.unpack(file.read(records.FOOT.size))
    if not records.OVERHEAD <= length <= min(end, _PLAUSIBLE):
        return None
    file.seek(end - length)
    record = file.read(length)
    if _length_at(record, 0) != length:
        return None
    return end - length, _count_entries(record)


def _count_entries(record: bytes) -> int:
    _, size, attributes_size, _, _ = records.HEAD.unpack_from(record, 0)
    payload = record[records.HEAD.size + attributes_size :][:size]
    return payload.count(b"\n") + (bool(payload) and not payload.endswith(b"\n"))


def _seek_forward(file: BinaryIO, count: int, end: int) -> tuple[int, int]:
    """The same for the part before `end` of a damaged file: everything before is counted, then skipped."""
    decoder = Decoder(Selection())
    file.seek(0)
    total = position = 0
    while position < end:
        block = file.read(min(_BLOCK, end - position))
        if not block:
            break
        position += len(block)
        total += len(decoder.feed(block))
    file.seek(0)
    return max(0, count - total), max(0, total - count)
