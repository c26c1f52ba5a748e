# SPDX-License-Identifier: Apache-2.0
"""TCP of the relay: a listening socket, and for each client a connection to the container; bytes go by splice.

Bytes never enter this process: they are moved from socket to pipe to socket. A pipe is borrowed only while it holds
something, so idle connections cost two descriptors. Each side's end is passed on as such (half-close), its reset as a
reset. Every turn is bounded: one greedy client does not starve the others. Source: splice(2), tcp(7).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket

from holdfast.kernel.loop import HANGUP, READ, WRITE, Loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Target = tuple[str, int]

_ACCEPT_TURN = 16
_MOVE_TURN = 8
_PIPE_BYTES = 256 * 1024
_SPARE_PIPES = 8
_FLAGS = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE
_RESET_AT_CLOSE = b"\x01\0\0\0\0\0\0\0"
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_SECONDS = 0.1
_KEEPALIVE_SECONDS = 30


class Pipes:
    """Pipes to move bytes through, made on need; a few empty ones are kept."""

    __slots__ = ("_spare",)

    def __init__(self) -> None:
        self._spare: list[tuple[int, int]] = []

    def borrow(self) -> tuple[int, int]:
        """An empty pipe (reading end, writing end); OSError."""
        if self._spare:
            return self._spare.pop()
        pipe = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:  # the user's share of pipes is used up: a small one is as good
            pass
        return pipe

    def give_back(self, pipe: tuple[int, int], *, is_empty: bool) -> None:
        if is_empty and len(self._spare) < _SPARE_PIPES:
            self._spare.append(pipe)
        else:
            os.close(pipe[0])
            os.close(pipe[1])


class StreamPort:
    """One published TCP port; `target` may change, for connections to come."""

    __slots__ = ("_connections", "_loop", "_pipes", "_sock", "target")

    def __init__(self, loop: Loop, sock: socket.socket, target: Target, pipes: Pipes) -> None:
        self._loop = loop
        self._sock = sock
        self._pipes = pipes
        self._connections: set[Connection] = set()
        self.target = target
        sock.setblocking(False)
        loop.add(sock.fileno(), READ, self._accept)

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        """Ends the connections, too: the container is gone, or somewhere else."""
        for connection in tuple(self._connections):
            connection.abort()
        self._loop.remove(self._sock.fileno())
        self._sock.close()

    def _accept(self, _: int) -> None:
        try:
            for _turn in range(_ACCEPT_TURN):
                client, _ = self._sock.accept()
                self._connect(client)
        except OSError as error:
            if error.errno in _NO_DESCRIPTORS:
                self._pause()

    def _connect(self, client: socket.socket) -> None:
        try:
            server = open_towards(self.target, socket.SOCK_STREAM)
        except OSError:
            reset(client)
            raise
        self._connections.add(Connection(self._loop, self._pipes, client, server, self._connections.discard))

    def _pause(self) -> None:
        """Until somebody has hung up; without this the loop would turn for nothing."""
        self._loop.watch(self._sock.fileno(), 0)
        self._loop.call_later(_PAUSE_SECONDS, self._resume)

    def _resume(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.watch(self._sock.fileno(), READ)


class Connection:
    """A client and its container."""

    __slots__ = ("_client", "_down", "_events", "_is_connecting", "_loop", "_on_end", "_server", "_up")

    def __init__(
        self,
        loop: Loop,
        pipes: Pipes,
        client: socket.socket,
        server: socket.socket,
        on_end: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._on_end = on_end
        self._client = client
        self._server = server
        self._up = Flow(client, server, pipes)
        self._down = Flow(server, client, pipes)
        self._is_connecting = True
        self._events: dict[int, int] = {}
        for sock in (client, server):
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, _KEEPALIVE_SECONDS)
        self._watch(server, WRITE)

    def _act(self, ready: int) -> None:
        """Whatever happened: what can be moved is moved."""
        try:
            if self._is_connecting:
                failure = self._server.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if failure:
                    raise OSError(failure, os.strerror(failure))
                self._is_connecting = False
            moved = self._up.move() | self._down.move()
            if ready & HANGUP and not moved and not (self._up.is_done and self._down.is_done):
                raise ConnectionResetError
        except OSError:
            self.abort()
            return
        if self._up.is_done and self._down.is_done:
            self._close()
            return
        self._watch(self._client, self._up.wishes(READ) | self._down.wishes(WRITE))
        self._watch(self._server, self._down.wishes(READ) | self._up.wishes(WRITE))

    def _watch(self, sock: socket.socket, events: int) -> None:
        """A descriptor that we expect nothing of is not watched at all: its hangup would be reported for ever."""
        fd = sock.fileno()
        before = self._events.get(fd, 0)
        if events == before:
            return
        if not before:
            self._loop.add(fd, events, self._act)
        elif events:
            self._loop.watch(fd, events)
        else:
            self._loop.remove(fd)
        self._events[fd] = events

    def abort(self) -> None:
        """Ends it with a reset on both sides."""
        for sock in (self._client, self._server):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
        self._close()

    def _close(self) -> None:
        for fd, events in self._events.items():
            if events:
                self._loop.remove(fd)
        for flow in (self._up, self._down):
            flow.close()
        self._client.close()
        self._server.close()
        self._on_end(self)


class Flow:
    """One direction."""

    __slots__ = ("_has_ended", "_held", "_pipe", "_pipes", "_sink", "_source", "is_done")

    def __init__(self, source: socket.socket, sink: socket.socket, pipes: Pipes) -> None:
        self._source = source
        self._sink = sink
        self._pipes = pipes
        self._pipe: tuple[int, int] | None = None
        self._held = 0
        """Bytes in the pipe."""
        self._has_ended = False
        self.is_done = False
        """Whether all has been passed on, the end too."""

    def wishes(self, direction: int) -> int:
        """READ of its source, or WRITE of its sink, where that would bring it on."""
        if direction == WRITE:
            return WRITE if self._held else 0
        return 0 if self._held or self._has_ended else READ

    def move(self) -> bool:
        """Moves what is there, to a limit; whether anything was. Raises OSError when a side is gone."""
        has_moved = False
        for _ in range(_MOVE_TURN):
            if self.is_done or not (self._fill() if not self._held and not self._has_ended else self._drain()):
                break
            has_moved = True
        if self._pipe is not None and not self._held:
            self._pipes.give_back(self._pipe, is_empty=True)
            self._pipe = None
        return has_moved

    def close(self) -> None:
        if self._pipe is not None:
            self._pipes.give_back(self._pipe, is_empty=not self._held)
            self._pipe = None

    def _fill(self) -> bool:
        if self._pipe is None:
            self._pipe = self._pipes.borrow()
        try:
            self._held = os.splice(self._source.fileno(), self._pipe[1], _PIPE_BYTES, flags=_FLAGS)
        except BlockingIOError:
            return False
        self._has_ended = not self._held
        return True

    def _drain(self) -> bool:
        if self._held and self._pipe is not None:
            try:
                self._held -= os.splice(self._pipe[0], self._sink.fileno(), self._held, flags=_FLAGS)
            except BlockingIOError:
                return False
        elif self._has_ended:
            self._sink.shutdown(socket.SHUT_WR)
            self.is_done = True
        return True


def open_towards(target: Target, kind: int) -> socket.socket:
    """A socket on its way to a container; OSError when there is none to it."""
    family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        sock.connect(target)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            sock.close()
            raise
    return sock


def reset(sock: socket.socket) -> None:
    """Ends a connection as one that nobody wanted."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_AT_CLOSE)
    sock.close()
