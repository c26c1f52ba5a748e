# SPDX-License-Identifier: Apache-2.0
"""What the daemon and the resolver process say to each other: JSON objects as datagrams of a seqpacket socket.

A *request* is `{"do": verb, "id": n, ...}`, its *reply* `{"re": n}` or `{"re": n, "error": text}`. A conversation
begins with the resolver's `{"hello": VERSION, "pid": n}`. Verbs: `begin` (what follows is all that is wanted), `publish`
(a `networks.names.SandboxNames`), `withdraw` (`sandbox_id`), `end` (what was not published since `begin` is forgotten),
`leave`. A resolver of another version is told to leave and is replaced: its state is all the daemon's.
"""

from __future__ import annotations

import json
import socket

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

VERSION = 1
SOCKET_NAME = "dns.sock"
LIMIT = 160 * 1024
"""A longer message is not sent: some 2000 aliases of one container."""

_encode = json.JSONEncoder(separators=(",", ":")).encode


def send(sock: socket.socket, message: Message) -> None:
    """Raises OSError when nobody hears it, InvalidArgument when it is too long."""
    data = _encode(message).encode()
    if len(data) > LIMIT:
        raise errors.InvalidArgument("a container has too many names and links for the DNS resolver")
    sock.send(data, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket) -> Message | None:
    """The next message; None at the end of the conversation, or when it is no message."""
    try:
        data = sock.recv(LIMIT)
    except ConnectionError:
        return None
    try:
        message = json.loads(data) if data else None
    except ValueError:
        return None
    return message if isinstance(message, dict) else None  # pyright: ignore[reportUnknownVariableType]
