# SPDX-License-Identifier: Apache-2.0
"""Docker's multiplexed stream: an 8-byte header (stream, three zeros, big-endian length) before each piece.

Used by the API's log and attach streams; the shim has its own writer of the same format on its import-light path.
Source: Engine API v1.51 ContainerAttach "Stream format".
"""

from __future__ import annotations

from collections.abc import Iterator

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
HEADER_SIZE = 8


def header(stream: int, length: int) -> bytes:
    """The eight bytes before a piece of `length` bytes."""
    return bytes((stream, 0, 0, 0)) + length.to_bytes(4, "big")


def encode(stream: int, data: bytes) -> bytes:
    """One framed piece."""
    return header(stream, len(data)) + data


class Decoder:
    """Splits a multiplexed stream into (stream, bytes), whatever the sizes in which it arrives."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The complete pieces so far; the rest waits for the next call. ValueError for a wrong header."""
        self._buffer += data
        while len(self._buffer) >= HEADER_SIZE:
            stream = self._buffer[0]
            if stream > SYSTEM_ERROR or any(self._buffer[1:4]):
                raise ValueError("not a multiplexed stream")
            end = HEADER_SIZE + int.from_bytes(self._buffer[4:8], "big")
            if len(self._buffer) < end:
                return
            piece = bytes(self._buffer[HEADER_SIZE:end])
            del self._buffer[:end]
            yield stream, piece

    @property
    def is_clean(self) -> bool:
        """True when no piece is half received."""
        return not self._buffer
