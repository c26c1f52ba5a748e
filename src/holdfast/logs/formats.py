# SPDX-License-Identifier: Apache-2.0
"""The two forms that a log on disk can have, as the reader sees them: JSON lines and our own records."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from holdfast.logs import json_lines, record_entries
from holdfast.logs.selection import Said, Selection


class Decoder(Protocol):
    """Turns what a file holds, piece by piece, into what was said."""

    is_past: bool
    """An entry after the selection's `until` has been seen."""

    def feed(self, data: bytes) -> list[Said]:
        """Takes the next bytes of the file."""
        ...

    def begin_file(self) -> None:
        """Another file begins: forgets an unfinished entry of the last one."""
        ...

    def skip(self, count: int) -> None:
        """Leaves out so many of the next entries."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """`seek_back(file, count)` positions a file at its last `count` entries.

    It returns how many entries the file lacks, and how many are to be skipped from where it stands.
    """

    open_decoder: Callable[[Selection], Decoder]
    seek_back: Callable[[BinaryIO, int], tuple[int, int]]


JSON_LINES = Format(open_decoder=json_lines.Decoder, seek_back=json_lines.seek_back)
RECORDS = Format(open_decoder=record_entries.Decoder, seek_back=record_entries.seek_back)
