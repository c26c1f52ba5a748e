# SPDX-License-Identifier: Apache-2.0
"""What the daemon and a companion say to each other: JSON objects as datagrams of a seqpacket socket.

A *request* is `{"do": verb, "id": n, ...}`, its *reply* `{"re": n, ...}` or `{"re": n, "error": text}`; a request
without an id has none. Descriptors may travel with either. A conversation begins with the companion's
`{"hello": VERSION, "pid": n}`; one of another version is told to leave and is replaced: its state is all the daemon's.
A companion that goes by itself says `{"leaves": true}` before: its end is no accident.
Verbs that all have: `begin` (what follows is all that is wanted), `end` (the rest is forgotten), `leave`.
"""

from __future__ import annotations

import array
import json
import os
import socket

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Message = dict[str, Any]

LIMIT = 160 * 1024
"""A longer message is not sent: some 2000 aliases of one container."""
_MOST_FDS = 4

_encode = json.JSONEncoder(separators=(",", ":")).encode


def send(sock: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Raises OSError when nobody hears it, InvalidArgument when it is too long."""
    data = _encode(message).encode()
    if len(data) > LIMIT:
        raise errors.InvalidArgument(f"a message of {len(data)} bytes is too long")
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    sock.sendmsg([data], ancillary, socket.MSG_NOSIGNAL)


def receive(sock: socket.socket) -> tuple[Message | None, list[int]]:
    """The next message and its descriptors, the caller's now; None at the end, or when it is no message."""
    try:
        data, ancillary, _flags, _ = sock.recvmsg(LIMIT, socket.CMSG_SPACE(_MOST_FDS * 4), socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        return None, []
    fds = [fd for _level, _kind, found in ancillary for fd in array.array("i", found[: len(found) // 4 * 4])]
    try:
        message = json.loads(data) if data else None
    except ValueError:
        message = None
    if isinstance(message, dict):
        return message, fds  # pyright: ignore[reportUnknownVariableType]
    for fd in fds:
        os.close(fd)
    return None, []
