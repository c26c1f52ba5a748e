# SPDX-License-Identifier: Apache-2.0
"""The server's half of a websocket; wsproto's client half is at the other end."""

from hypothesis import given
from hypothesis import strategies as st
from wsproto import events
from wsproto.connection import Connection, ConnectionType

from holdfast.wire import websocket


def payload(client: Connection, data: bytes) -> list[bytes | str]:
    client.receive_data(data)
    return [event.data for event in client.events() if isinstance(event, (events.BytesMessage, events.TextMessage))]


def test_the_accept_token_is_that_of_the_rfc():
    assert websocket.accept("dGhlIHNhbXBsZSBub25jZQ==") == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_binary_and_text_messages():
    client = Connection(ConnectionType.CLIENT)

    assert payload(client, websocket.WebSocket(is_binary=True).encode(b"\xff")) == [b"\xff"]
    assert payload(client, websocket.WebSocket(is_binary=False).encode("é".encode())) == ["é"]


def test_a_character_cut_in_two_stays_one_character():
    client, server = Connection(ConnectionType.CLIENT), websocket.WebSocket(is_binary=False)

    found = payload(client, server.encode(b"\xc3")) + payload(client, server.encode(b"\xa9"))

    assert "".join(map(str, found)) == "é"


@given(st.lists(st.binary(min_size=1, max_size=40)), st.integers(1, 9))
def test_input_survives_any_split(pieces, size):
    client, server = Connection(ConnectionType.CLIENT), websocket.WebSocket(is_binary=True)
    wire = b"".join(client.send(events.BytesMessage(data=piece)) for piece in pieces)

    found = b"".join(server.receive(wire[start : start + size]) for start in range(0, len(wire), size))

    assert found == b"".join(pieces)


def test_a_ping_is_answered_and_a_close_is_answered_once():
    client, server = Connection(ConnectionType.CLIENT), websocket.WebSocket(is_binary=True)

    server.receive(client.send(events.Ping(payload=b"x")))
    client.receive_data(server.replies)
    pongs = list(client.events())
    server.replies = b""
    server.receive(client.send(events.CloseConnection(code=1000)))

    assert isinstance(pongs[0], events.Pong)
    assert server.is_closed
    assert server.replies
    assert server.encode(b"late") == server.close() == b""


def test_garbage_ends_it():
    server = websocket.WebSocket(is_binary=True)

    assert server.receive(b"\xff" * 100) == b""
    assert server.is_closed
