# SPDX-License-Identifier: Apache-2.0
"""Plain connections over a unix socket pair."""

import asyncio
import socket

import pytest

from holdfast.errors import Unavailable
from holdfast.transport.connection import BUFFER_LIMIT, Connection


@pytest.fixture
async def pair():
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.settimeout(5)
    _, connection = await loop.connect_accepted_socket(lambda: Connection(loop), ours)
    yield connection, theirs
    connection.abort()
    theirs.close()


async def test_reads_what_arrives_and_the_end(pair):
    connection, peer = pair
    peer.sendall(b"abc")

    assert await connection.read(2) == b"ab"
    assert await connection.read() == b"c"
    peer.shutdown(socket.SHUT_WR)
    assert await connection.read() == b""


async def test_writing_goes_on_after_the_peer_closed_its_side(pair):
    connection, peer = pair
    peer.shutdown(socket.SHUT_WR)
    assert await connection.read() == b""

    connection.write(b"late")
    await connection.flush()

    assert await asyncio.to_thread(peer.recv, 10) == b"late"


async def test_closing_our_side_leaves_reading_open(pair):
    connection, peer = pair
    await connection.write_eof()

    assert await asyncio.to_thread(peer.recv, 10) == b""
    peer.sendall(b"more")
    assert await connection.read() == b"more"


async def test_drain_waits_for_a_slow_peer(pair):
    connection, peer = pair
    connection.write(b"x" * 4_000_000)
    draining = asyncio.ensure_future(connection.drain())
    await asyncio.sleep(0.05)
    assert not draining.done()

    def read_all():
        left = 4_000_000
        while left:
            left -= len(peer.recv(1 << 20))

    await asyncio.to_thread(read_all)
    await asyncio.wait_for(draining, 5)


async def test_drain_of_a_lost_peer_is_unavailable(pair):
    connection, peer = pair
    connection.write(b"x" * 4_000_000)
    draining = asyncio.ensure_future(connection.drain())
    await asyncio.sleep(0)
    peer.close()

    with pytest.raises(Unavailable):
        await asyncio.wait_for(draining, 5)


async def test_the_buffer_is_bounded_while_nobody_reads(pair):
    connection, peer = pair
    peer.setblocking(False)
    sent = 0
    for _ in range(200):
        try:
            sent += peer.send(b"x" * 65536)
        except BlockingIOError:
            await asyncio.sleep(0.005)
    assert sent < BUFFER_LIMIT + 4 * 1024 * 1024

    received = 0
    while received < sent:
        received += len(await connection.read())
    assert received == sent


async def test_giving_away_hands_over_the_socket_and_what_was_received(pair):
    connection, peer = pair
    peer.sendall(b"early")
    while not (data := await connection.read()):
        pass
    connection.unread(data)

    sock, pending = connection.give_away()
    await asyncio.sleep(0.05)

    assert pending == b"early"
    with sock:
        peer.sendall(b"later")
        sock.setblocking(True)
        assert await asyncio.to_thread(sock.recv, 10) == b"later"
        sock.sendall(b"answer")
        assert await asyncio.to_thread(peer.recv, 10) == b"answer"
    assert await asyncio.to_thread(peer.recv, 10) == b""
    with pytest.raises(Unavailable):
        connection.give_away()


async def test_wait_hangup_returns_when_the_peer_leaves_with_bytes_unread(pair):
    connection, peer = pair
    peer.sendall(b"unread")
    waiting = asyncio.ensure_future(connection.wait_hangup())
    await asyncio.sleep(0.02)
    assert not waiting.done()

    peer.close()

    await asyncio.wait_for(waiting, 5)
