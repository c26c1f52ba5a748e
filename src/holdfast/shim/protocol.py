# SPDX-License-Identifier: Apache-2.0
"""What daemon, spawner and shim say to each other: JSON objects as datagrams, and Docker's stream frames (sans-IO).

A *request* is `{"do": verb, "id": n, ...}`; its *reply* `{"re": n, ...}` or `{"re": n, "error": {...}}`; an *event*
`{"event": name, ...}` answers nothing. The first event on every connection is `started`, `failed` or `hello`.
File descriptors travel beside a message in the order in which the message speaks of them (see `channel`).
Sources: Engine API v1.47 ContainerAttach (stream format); everything else is our own.
"""

from __future__ import annotations

import json
from struct import Struct

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

INLINE_LIMIT = 60 * 1024
"""A longer message travels in a memfd: a datagram must fit the socket's send buffer (net.core.wmem_default)."""

GO = b"1"
"""The one thing to be said through the pipe of a launch that `waits`."""

STDIN, STDOUT, STDERR = 0, 1, 2

_FRAME = Struct(">BxxxI")
_encode = json.JSONEncoder(separators=(",", ":")).encode


def encode(message: Message) -> bytes:
    """Returns the message as the bytes of one datagram."""
    return _encode(message).encode()


def decode(data: bytes) -> Message:
    """Reads one datagram; raises Corrupt when it is not a JSON object."""
    try:
        message = json.loads(data)
    except ValueError as error:
        raise errors.Corrupt(f"shim message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise errors.Corrupt("shim message is not a JSON object")
    return message  # pyright: ignore[reportUnknownVariableType]


def frame_header(stream: int, length: int) -> bytes:
    """Returns the 8 bytes that Docker puts before each piece of a multiplexed stream: {stream, 0, 0, 0, length}."""
    return _FRAME.pack(stream, length)


def bytes_to_text(data: bytes) -> str:
    """Puts arbitrary bytes into JSON (one character per byte); `text_to_bytes` takes them out again."""
    return data.decode("latin-1")


def text_to_bytes(text: str) -> bytes:
    """The inverse of `bytes_to_text`."""
    return text.encode("latin-1")
