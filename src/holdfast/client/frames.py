# SPDX-License-Identifier: Apache-2.0
"""Takes Docker's multiplexed stream apart: eight bytes of head {stream, 0, 0, 0, length big-endian}, then data.

Sans-IO: feed it bytes, get (stream, data) pairs. Source: Engine API v1.47, ContainerAttach, "Stream format".
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

STDIN, STDOUT, STDERR = 0, 1, 2
_HEAD_BYTES = 8


class Demultiplexer:
    """Keeps an incomplete head between calls; data is passed on as it comes, without waiting for a whole frame."""

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
