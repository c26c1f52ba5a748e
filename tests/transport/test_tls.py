# SPDX-License-Identifier: Apache-2.0
"""TLS connections: half-close in both directions, and streams that are given away."""

import asyncio
import socket
import ssl

import pytest
import trustme

from holdfast.errors import Unavailable
from holdfast.transport import listener

AUTHORITY = trustme.CA()


def server_context(*, verify: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("localhost").configure_cert(context)
    if verify:
        AUTHORITY.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


class Serving:
    """A TLS listener on a free port of loopback."""

    def __init__(self, serve, context=None):
        self.listening = listener.Listener(serve, context or server_context())

    async def __aenter__(self):
        sockets = listener.bind(listener.parse("tcp://127.0.0.1:0"))
        self.port = sockets[0].getsockname()[1]
        await self.listening.start(sockets)
        return self

    async def __aexit__(self, *_):
        await self.listening.close()


class Client:
    """A blocking TLS client that can close its sending side alone, as Go's can."""

    def __init__(self, port, context=None):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=5)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = (context or client_context()).wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.drive(self.tls.do_handshake)

    def drive(self, action):
        while True:
            try:
                result = action()
            except ssl.SSLWantReadError:
                self.flush()
                data = self.sock.recv(65536)
                self.incoming.write(data) if data else self.incoming.write_eof()
            else:
                self.flush()
                return result

    def flush(self):
        if self.outgoing.pending:
            self.sock.sendall(self.outgoing.read())

    def send(self, data):
        self.drive(lambda: self.tls.write(data))

    def close_sending(self):
        try:
            self.tls.unwrap()
        except ssl.SSLWantReadError:
            self.flush()

    def read_to_end(self):
        data = b""
        while True:
            try:
                part = self.drive(lambda: self.tls.read(65536))
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return data
            if not part:
                return data
            data += part


async def upper(connection):
    """Answers everything only after the client has closed its side."""
    received = b""
    while data := await connection.read():
        received += data
    connection.write(received.upper())
    await connection.drain()


async def test_what_is_written_after_the_clients_close_notify_arrives():
    def talk(port):
        client = Client(port)
        client.send(b"hi")
        client.close_sending()
        return client.read_to_end()

    async with Serving(upper) as server:
        assert await asyncio.to_thread(talk, server.port) == b"HI"


async def test_megabytes_pass_both_ways():
    data = bytes(range(256)) * 8192

    def talk(port):
        client = Client(port)
        for start in range(0, len(data), 65536):
            client.send(data[start : start + 65536])
        client.close_sending()
        return client.read_to_end()

    async with Serving(upper) as server:
        assert await asyncio.to_thread(talk, server.port) == data.upper()


async def test_a_stream_given_away_is_relayed_with_half_close():
    done = asyncio.Event()

    async def give(connection):
        first = await connection.read(3)
        connection.unread(first)
        sock, pending = connection.give_away()

        def foreign_process():
            sock.setblocking(True)
            with sock:
                received = pending
                while part := sock.recv(65536):
                    received += part
                sock.sendall(received[::-1])

        await asyncio.to_thread(foreign_process)
        done.set()

    def talk(port):
        client = Client(port)
        client.send(b"abc")
        client.send(b"def")
        client.close_sending()
        return client.read_to_end()

    async with Serving(give) as server:
        assert await asyncio.to_thread(talk, server.port) == b"fedcba"
        await asyncio.wait_for(done.wait(), 5)


async def test_the_far_end_sees_the_clients_disappearance():
    seen = asyncio.Event()

    async def give(connection):
        await connection.read()
        sock, _ = connection.give_away()
        sock.setblocking(True)
        with sock:
            assert await asyncio.to_thread(sock.recv, 1) == b""
        seen.set()

    def talk(port):
        client = Client(port)
        client.send(b"x")
        client.sock.close()

    async with Serving(give) as server:
        await asyncio.to_thread(talk, server.port)
        await asyncio.wait_for(seen.wait(), 5)


async def test_a_client_without_a_certificate_is_refused():
    errors = []

    async def serve(connection):
        try:
            await connection.read()
        except Unavailable as error:
            errors.append(error)

    def talk(port):
        client = Client(port)
        client.send(b"x")
        return client.read_to_end()

    async with Serving(serve, server_context(verify=True)) as server:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.to_thread(talk, server.port)
    assert "certificate" in errors[0].message.lower()


async def test_plain_http_on_a_tls_port_is_told_so():
    errors = []

    async def serve(connection):
        try:
            await connection.read()
        except Unavailable as error:
            errors.append(error)

    def talk(port):
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: d\r\n\r\n")
            return sock.recv(4096)

    async with Serving(serve) as server:
        assert b"HTTP request to an HTTPS server" in await asyncio.to_thread(talk, server.port)
    assert errors


async def test_wait_hangup_keeps_the_bytes_that_it_saw():
    got = asyncio.get_running_loop().create_future()

    async def serve(connection):
        first = await connection.read(1)
        await connection.wait_hangup()
        got.set_result(first + await connection.read())

    def talk(port):
        client = Client(port)
        client.send(b"abc")
        client.close_sending()

    async with Serving(serve) as server:
        await asyncio.to_thread(talk, server.port)
        assert await asyncio.wait_for(got, 5) == b"abc"
