# SPDX-License-Identifier: Apache-2.0
"""Cuts a stream into log entries as Docker does: at every newline, and after 16 KiB without one (sans-IO, boot path).

Whole lines stay together in one *run*, so that a driver can treat thousands of lines with one bytes operation.
"""

from __future__ import annotations

LIMIT = 16 * 1024
"""The longest entry, newline not counted; Docker's copier has a buffer of this size."""


class LineCutter:
    """The unfinished line of one stream."""

    __slots__ = ("_tail",)

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[bytes]:
        """Returns runs: several whole lines with their newlines, or one partial entry without a newline."""
        if self._tail:
            data = self._tail + data
        runs: list[bytes] = []
        start = looked_at = 0
        while len(data) - looked_at >= LIMIT:
            newline = data.rfind(b"\n", looked_at, looked_at + LIMIT)
            if newline >= 0:
                looked_at = newline + 1
                continue
            if looked_at > start:
                runs.append(data[start:looked_at])
            start = looked_at + LIMIT
            runs.append(data[looked_at:start])
            looked_at = start
        end = max(data.rfind(b"\n", looked_at) + 1, looked_at)
        if end > start:
            runs.append(data if end - start == len(data) else data[start:end])
        self._tail = data[end:]
        return runs

    def flush(self) -> bytes:
        """Returns the unfinished line, which no newline will follow."""
        tail, self._tail = self._tail, b""
        return tail
