# SPDX-License-Identifier: Apache-2.0
"""Turns json-file entries back into what the container said (sans-IO; the daemon's side, never in the shim).

A block of whole lines is decoded at once. Lines that are damaged (a disk that was full, a file cut by hand) are left
out. Rendering of times and details is that of `docker logs -t --details`.
"""

from __future__ import annotations

import os
from typing import BinaryIO

import msgspec

from holdfast.logs.escape import Clock
from holdfast.logs.selection import STDERR, STDOUT, Said, Selection, render_details

_STREAMS = {"stdout": STDOUT, "stderr": STDERR}
_SECONDS = 19
_HEAD = b'{"log":"'
_NEWLINE = b"\\n"
_TAIL = b'","stream":"'
_UNIFORM_LINES = 4
_SHORT_RUNS = 8
_BLOCK = 64 * 1024


class _Entry(msgspec.Struct):
    log: str = ""
    stream: str = "stdout"
    time: str = ""
    attrs: dict[str, str] = {}


_decoder = msgspec.json.Decoder(_Entry)


class Decoder:
    """Decodes the blocks of one reading; `is_past` says that an entry after `until` has been seen."""

    def __init__(self, selection: Selection) -> None:
        self._selection = selection
        self._wanted = {STDOUT: selection.stdout, STDERR: selection.stderr}
        self._since = _sortable(Clock().render(selection.since).decode()) if selection.since else ""
        self._until = _sortable(Clock().render(selection.until).decode()) if selection.until else ""
        self._is_plain = not (selection.timestamps or selection.details or self._since or self._until)
        self.is_past = False
        self._rest = b""
        self._skip = 0

    def begin_file(self) -> None:
        """A line that the last file did not finish is damaged: forgets it."""
        self._rest = b""

    def skip(self, count: int) -> None:
        """Leaves out so many of the next entries."""
        self._skip = count

    def feed(self, data: bytes) -> list[Said]:
        """Takes the next bytes of the file, returns what the lines finished by them say."""
        self._rest += data
        end = self._rest.rfind(b"\n") + 1
        block, self._rest = self._rest[:end], self._rest[end:]
        while self._skip and block:
            block = block[block.index(b"\n") + 1 :]
            self._skip -= 1
        return self.decode(block) if block else []

    def decode(self, block: bytes) -> list[Said]:
        """Returns what the entries of a block (whole lines) say."""
        if self._is_plain:
            uniform = self._decode_uniform(block)
            if uniform is not None:
                return uniform
        try:
            entries = _decoder.decode_lines(block)
        except (msgspec.DecodeError, UnicodeDecodeError):
            entries = _decode_singly(block)
        if self._is_plain and self._selection.stdout and self._selection.stderr:
            return [(STDERR if entry.stream == "stderr" else STDOUT, entry.log.encode()) for entry in entries]
        return [said for entry in entries if (said := self._render(entry)) is not None]

    def _render(self, entry: _Entry) -> Said | None:
        stream = _STREAMS.get(entry.stream, STDOUT)
        if not self._wanted[stream] or self.is_past:
            return None
        if self._since or self._until:
            when = _sortable(entry.time)
            if self._until and when > self._until:
                self.is_past = True
                return None
            if when < self._since:
                return None
        text = entry.log
        if self._selection.details:
            text = f"{render_details(entry.attrs)} {text}"
        if self._selection.timestamps:
            text = f"{_fixed_width(entry.time)} {text}"
        return stream, text.encode()

    def _decode_uniform(self, block: bytes) -> list[Said] | None:
        """The quick way for what our own writer wrote: runs of entries with one ending, and nothing escaped in them.

        Then what stands before the ending is the text itself. None when the block is not so.
        """
        said: list[Said] = []
        start = short_runs = 0
        while start < len(block):
            first_end = block.find(b"\n", start) + 1
            ending = block[block.rfind(_TAIL, start, first_end) - len(_NEWLINE) : first_end]
            end = block.rfind(ending) + len(ending)
            lines = block[start:end].splitlines()
            count = len(lines)
            short_runs += count < _UNIFORM_LINES
            stream = _STREAMS.get(ending[len(_NEWLINE) + len(_TAIL) :][:6].decode("ascii", "replace"))
            if (
                stream is None
                or short_runs > _SHORT_RUNS
                or not (ending.startswith(_NEWLINE) and block.startswith(_HEAD, start))
                or block.count(b"\\", start, end) != count
                or block.count(ending, start, end) != count
            ):
                return None
            if self._wanted[stream]:
                cut = 1 - len(ending)
                said += [(stream, line[len(_HEAD) : cut] + b"\n") for line in lines]
            start = end
        return said


def _decode_singly(block: bytes) -> list[_Entry]:
    entries: list[_Entry] = []
    for line in block.splitlines():
        try:
            entries.append(_decoder.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return entries


def _sortable(when: str) -> str:
    """RFC 3339 in UTC without trailing zeros, made comparable as text."""
    return when[:_SECONDS] + when[_SECONDS + 1 : -1].ljust(9, "0")


def _fixed_width(when: str) -> str:
    return f"{when[:_SECONDS]}.{when[_SECONDS + 1 : -1].ljust(9, '0')}Z"


def seek_back(file: BinaryIO, count: int) -> tuple[int, int]:
    """Positions a file at its last `count` lines; returns how many it lacks (and that none is to be skipped)."""
    end = file.seek(0, os.SEEK_END)
    if count <= 0:
        return 0, 0
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
            return 0, 0
        count -= newlines
        position = start
    file.seek(0)
    return (count - 1 if end else count), 0
