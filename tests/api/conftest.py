# SPDX-License-Identifier: Apache-2.0
"""An API server in this process, on a unix socket and on a tcp port of loopback."""

import asyncio
import socket

import pytest

from holdfast.api.policy import HostPolicy
from holdfast.api.respond import ServerHeaders
from holdfast.api.router import Router
from holdfast.api.server import Limits, Server
from holdfast.transport import listener


class Answer:
    """A parsed response; `rest` are the bytes behind it."""

    def __init__(self, data: bytes):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        self.body = body


class Running:
    """What a test talks to."""

    def __init__(self, path, port):
        self.path, self.port = path, port

    def connect(self, tcp=False):
        if tcp:
            sock = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        else:
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(5)
            sock.connect(self.path)
        return sock

    async def send(self, data: bytes, *, tcp=False, close_sending=True) -> bytes:
        """Everything that comes back for the bytes, to the end of the connection."""

        def talk():
            with self.connect(tcp) as sock:
                sock.sendall(data)
                if close_sending:
                    sock.shutdown(socket.SHUT_WR)
                received = b""
                while True:
                    try:
                        part = sock.recv(65536)
                    except ConnectionResetError:
                        return received
                    if not part:
                        return received
                    received += part

        return await asyncio.to_thread(talk)

    async def ask(self, method, target, body=b"", headers="", **how) -> Answer:
        head = f"{method} {target} HTTP/1.1\r\nHost: d\r\nConnection: close\r\n"
        if body:
            head += f"Content-Length: {len(body)}\r\n"
        return Answer(await self.send((head + headers + "\r\n").encode() + body, close_sending=False, **how))


@pytest.fixture
async def start(tmp_path):
    """`await start(routes, limits)` gives a Running."""
    listeners = []

    async def begin(routes, limits=None):
        server = Server(
            Router(routes), ServerHeaders("1.51", "Holdfast/test (linux)"), policy=HostPolicy(), limits=limits
        )
        listening = listener.Listener(server.serve)
        listeners.append(listening)
        path = str(tmp_path / "api.sock")
        tcp = listener.bind(listener.parse("tcp://127.0.0.1:0"))
        await listening.start([*listener.bind(listener.Address("unix", path=path)), *tcp])
        return Running(path, tcp[0].getsockname()[1])

    yield begin
    for each in listeners:
        await each.close()


@pytest.fixture
def quick_limits():
    """Limits that a test can wait for."""
    return Limits(head_seconds=0.2, idle_seconds=0.4, unread_body_seconds=0.3)
