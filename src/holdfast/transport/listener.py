# SPDX-License-Identifier: Apache-2.0
"""Listening sockets for the addresses that `-H` names: unix://, tcp:// and fd://.

Binds and accepts; what to do with a connection is the caller's function. Unix sockets are 0660 and belong to the group
that was asked for. Made by `daemon.main`. Source: unix(7), sd_listen_fds(3), dockerd's `-H`.
"""

from __future__ import annotations

import asyncio
import grp
import os
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable

import msgspec

from holdfast.errors import Conflict, InvalidArgument
from holdfast.transport.connection import Connection
from holdfast.transport.tls import TLSConnection

BACKLOG = 4096
DEFAULT_UNIX = "/var/run/docker.sock"
GROUPS = ("docker", "holdfast")

AnyConnection = Connection | TLSConnection


class Address(msgspec.Struct, frozen=True):
    """A parsed `-H`: scheme `unix` has a path, `tcp` a host and a port, `fd` an optional number in `path`."""

    scheme: str
    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        return f"tcp://{self.host}:{self.port}" if self.scheme == "tcp" else f"{self.scheme}://{self.path}"

    @property
    def is_loopback(self) -> bool:
        """True when only this machine can reach the address."""
        return self.scheme != "tcp" or self.host in ("localhost", "::1") or self.host.startswith("127.")


def parse(text: str, *, default_port: int = 2375) -> Address:
    """`unix:///run/x.sock`, `tcp://127.0.0.1:2375`, `127.0.0.1:2375`, `fd://`; InvalidArgument for anything else."""
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        scheme, rest = "tcp", scheme
    if scheme == "unix":
        return Address("unix", path=rest or DEFAULT_UNIX)
    if scheme == "fd":
        return Address("fd", path=rest)
    if scheme != "tcp":
        raise InvalidArgument(f"invalid bind address ({text}): unsupported proto '{scheme}'")
    host, _, port = rest.rstrip("/").rpartition(":") if rest.rpartition(":")[2].isdigit() else (rest, "", "")
    host = host.strip("[]") or "127.0.0.1"
    number = int(port) if port else default_port
    if number > 65535 or "/" in host:
        raise InvalidArgument(f"invalid bind address ({text}): expected tcp://host:port")
    return Address("tcp", host=host, port=number)


def bind(address: Address, *, group: str | None = None) -> list[socket.socket]:
    """The bound, listening sockets of an address. Conflict when somebody listens there already."""
    if address.scheme == "unix":
        return [_bind_unix(address.path, group)]
    if address.scheme == "fd":
        return _inherited(address.path)
    sockets: list[socket.socket] = []
    for family, kind, number, _, where in socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    ):
        listening = socket.socket(family, kind, number)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            listening.bind(where)
        except OSError as error:
            listening.close()
            raise Conflict(f"cannot listen on {address}: {error.strerror}") from error
        listening.listen(BACKLOG)
        sockets.append(listening)
    return sockets


def _bind_unix(path: str, group: str | None) -> socket.socket:
    """Replaces a dead socket at the path, never a live one; 0660 before anybody can connect."""
    if len(os.fsencode(path)) > 107:
        raise InvalidArgument(f"unix socket path is longer than 107 bytes: {path}")
    os.makedirs(os.path.dirname(path) or "/", mode=0o755, exist_ok=True)
    if os.path.lexists(path):
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise Conflict(f"cannot listen on unix://{path}: it exists and is not a socket")
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(path) == 0:
                raise Conflict(f"cannot listen on unix://{path}: another daemon listens there")
        os.unlink(path)
    listening = socket.socket(socket.AF_UNIX)
    before = os.umask(0o117)
    try:
        listening.bind(path)
    except OSError as error:
        listening.close()
        raise Conflict(f"cannot listen on unix://{path}: {error.strerror}") from error
    finally:
        os.umask(before)
    gid = _gid(group)
    if gid is not None:
        os.chown(path, -1, gid)
    listening.listen(BACKLOG)
    return listening


def _gid(group: str | None) -> int | None:
    """The number of the group asked for (InvalidArgument when there is none), else of the first usual one."""
    for name in (group,) if group else GROUPS:
        if name.isdigit():
            return int(name)
        try:
            return grp.getgrnam(name).gr_gid
        except KeyError:
            continue
    if group:
        raise InvalidArgument(f"group {group} not found")
    return None


def _inherited(which: str) -> list[socket.socket]:
    """The sockets that systemd passed (LISTEN_PID, LISTEN_FDS), or one of them by number."""
    if os.environ.get("LISTEN_PID") != str(os.getpid()):
        raise InvalidArgument("fd:// needs socket activation: no sockets were passed")
    numbers = [int(which)] if which else range(3, 3 + int(os.environ.get("LISTEN_FDS", "0")))
    return [socket.socket(fileno=number) for number in numbers]


class Listener:
    """Accepts on sockets until closed; every connection runs `serve` in a task of its own."""

    def __init__(self, serve: Callable[[AnyConnection], Awaitable[None]], tls: ssl.SSLContext | None = None) -> None:
        self._serve = serve
        self._tls = tls
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, sockets: list[socket.socket]) -> None:
        """Begins to accept; the sockets belong to the listener from now on."""
        loop = asyncio.get_running_loop()
        for each in sockets:
            each.setblocking(False)
            if each.family == socket.AF_UNIX:
                server = await loop.create_unix_server(self._accept, sock=each, backlog=BACKLOG)
            else:
                server = await loop.create_server(self._accept, sock=each, backlog=BACKLOG)
            self._servers.append(server)

    def _accept(self) -> Connection:
        return _Accepted(self._begin)

    def _begin(self, connection: Connection) -> None:
        task = asyncio.get_running_loop().create_task(self._run(connection))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, connection: Connection) -> None:
        outer: AnyConnection = TLSConnection(connection, self._tls) if self._tls else connection
        try:
            await self._serve(outer)
        finally:
            outer.close()

    def stop_accepting(self) -> None:
        """Closes the listening sockets; connections go on."""
        for server in self._servers:
            server.close()

    async def close(self) -> None:
        """Stops accepting and cancels every connection."""
        self.stop_accepting()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


class _Accepted(Connection):
    """A connection that reports itself once it is made."""

    def __init__(self, begin: Callable[[Connection], None]) -> None:
        super().__init__(asyncio.get_running_loop())
        self._begin = begin

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._begin(self)
