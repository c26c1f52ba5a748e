# SPDX-License-Identifier: Apache-2.0
"""The server's half of a websocket after its HTTP upgrade: bytes of frames in, payload out, and the other way round.

Sans-IO over wsproto; `api.attach_websocket` brings the bytes and carries the replies. Imported when the first websocket
comes, as wsproto costs 50 ms. Source: RFC 6455; moby 28 `wsContainersAttach` for text frames below API 1.28.
"""

from __future__ import annotations

import codecs

from wsproto import events
from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.utilities import LocalProtocolError, RemoteProtocolError, generate_accept_token

VERSION = "13"
_NORMAL = 1000


def accept(key: str) -> str:
    """The answer to a client's Sec-WebSocket-Key."""
    return generate_accept_token(key.encode("latin-1")).decode("ascii")


class WebSocket:
    """One connection. `replies` holds what must be sent (pongs, the close's answer); take it after every call."""

    __slots__ = ("_connection", "_decoder", "_is_binary", "is_closed", "replies")

    def __init__(self, *, is_binary: bool) -> None:
        self._connection = Connection(ConnectionType.SERVER)
        self._is_binary = is_binary
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.replies = b""
        self.is_closed = False
        """True once the peer has said that it will send nothing more, or broke the protocol."""

    def receive(self, data: bytes) -> bytes:
        """The payload of every (piece of a) message that the bytes complete; `b""` for the data is the peer's end."""
        payload = b""
        try:
            self._connection.receive_data(data or None)
            for event in self._connection.events():
                payload += self._take(event)
        except (RemoteProtocolError, LocalProtocolError):
            self.is_closed = True
        return payload

    def _take(self, event: events.Event) -> bytes:
        if isinstance(event, events.BytesMessage):
            return bytes(event.data)
        if isinstance(event, events.TextMessage):
            return event.data.encode()
        if isinstance(event, events.Ping):
            self.replies += self._connection.send(event.response())
        elif isinstance(event, events.CloseConnection):
            self.is_closed = True
            if self._connection.state is ConnectionState.REMOTE_CLOSING:
                self.replies += self._connection.send(event.response())
        return b""

    def encode(self, data: bytes) -> bytes:
        """The data as one message; nothing once either side has closed."""
        if self._connection.state is not ConnectionState.OPEN:
            return b""
        if self._is_binary:
            return self._connection.send(events.BytesMessage(data=data))
        return self._connection.send(events.TextMessage(data=self._decoder.decode(data)))

    def close(self) -> bytes:
        """Our side's end."""
        if self._connection.state is not ConnectionState.OPEN:
            return b""
        return self._connection.send(events.CloseConnection(code=_NORMAL))
