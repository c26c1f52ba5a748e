# SPDX-License-Identifier: Apache-2.0
"""Docker's multiplexed stream: an 8-byte head {stream, 0, 0, 0, length big-endian} before each piece.

The one codec of the API's streams for daemon, client and command line; the shim has a writer of its own on its
import-light path. Source: Engine API v1.51 ContainerAttach "Stream format".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN, STDOUT, STDERR = 0, 1, 2
_HEAD_BYTES = 8


def encode(stream: int, data: bytes) -> bytes:
    """One framed piece."""
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


class Demultiplexer:
    """Takes a stream apart: keeps an incomplete head between calls, passes data on without waiting for its frame's end."""

    def __init__(self) -> None:
        self._ahead = b""
        self._stream = STDOUT
        self._left = 0

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yields (stream, data) for everything that `data` completes."""
        data = self._ahead + data
        self._ahead = b""
        while data:
            if self._left == 0:
                if len(data) < _HEAD_BYTES:
                    self._ahead = data
                    return
                self._stream = data[0]
                self._left = int.from_bytes(data[4:_HEAD_BYTES], "big")
                data = data[_HEAD_BYTES:]
                continue
            piece, data = data[: self._left], data[self._left :]
            self._left -= len(piece)
            yield self._stream, piece
