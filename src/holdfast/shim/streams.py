# SPDX-License-Identifier: Apache-2.0
"""Everything that flows in and out of one process: its output to the log and to any number of clients, their input.

Reading stops while a client is full, so nothing is lost and little is buffered. After the process's end the rest is
read until every writer is gone, or until nothing has come for a moment (a grandchild may hold the pipe for ever).
"""

from __future__ import annotations

import os
import time

from holdfast.kernel import loop
from holdfast.shim import protocol
from holdfast.shim.attachment import Attachment
from holdfast.shim.stdin import Stdin

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from holdfast.logs.driver import Writer
    from holdfast.shim.protocol import Message

_CHUNK = 64 * 1024
_IDLE_SECONDS = 0.1
_DRAIN_SECONDS = 1.0


class Streams:
    """The streams of one process; `log` is None for an exec, whose output is not kept."""

    __slots__ = (
        "_clients",
        "_drain_until",
        "_is_paused",
        "_log",
        "_loop",
        "_on_detached",
        "_on_drained",
        "_outputs",
        "_stdin",
        "_timer",
        "is_tty",
    )

    def __init__(
        self, poll: loop.Loop, *, is_tty: bool, log: Writer | None, on_detached: Callable[[], None] | None
    ) -> None:
        self._loop = poll
        self.is_tty = is_tty
        self._log = log
        self._on_detached = on_detached
        self._outputs: dict[int, int] = {}
        self._stdin: Stdin | None = None
        self._clients: list[Attachment] = []
        self._is_paused = False
        self._on_drained: Callable[[], None] | None = None
        self._drain_until = 0.0
        self._timer: loop.Timer | None = None
        if log is not None:
            log.watch(poll, self.on_client_room)

    def add_stdin(self, fd: int) -> None:
        """Takes over the way into the process."""
        os.set_blocking(fd, False)
        self._stdin = Stdin(fd, self._loop, self._on_stdin_room)

    def add_output(self, stream: int, fd: int) -> None:
        """Takes over a pipe or terminal that the process writes to, and begins to read."""
        os.set_blocking(fd, False)
        self._outputs[fd] = stream
        self._loop.add(fd, loop.READ, lambda _: self._on_output(fd))

    def reads(self, fd: int) -> bool:
        """Whether an output is still open; a terminal's closes when nobody holds its other side."""
        return fd in self._outputs

    def attach(self, sock: socket.socket, grant: Message) -> None:
        """Adds a client; it sees everything that is read from now on."""
        client = Attachment(sock, grant, self._loop, self)
        self._clients.append(client)
        client.start(protocol.text_to_bytes(grant["pending"]))

    @property
    def has_stdin(self) -> bool:
        """Whether the process can be told anything."""
        return self._stdin is not None and self._stdin.is_open

    @property
    def is_stdin_busy(self) -> bool:
        """Whether clients must wait before they say more."""
        return self._stdin is not None and self._stdin.is_busy

    @property
    def has_clients(self) -> bool:
        """Whether somebody has still to take something."""
        return bool(self._clients)

    def on_client_input(self, data: bytes) -> None:
        """A client has typed."""
        if self._stdin is not None:
            self._stdin.write(data)

    def on_client_end(self, client: Attachment) -> None:
        """A client's input has ended: the process's too if that was agreed, else the client has had enough.

        As dockerd: without StdinOnce (or with a terminal) the end of the input ends the attachment.
        """
        if self._stdin is not None and client.closes_stdin and not self.is_tty:
            self._stdin.end()
        else:
            client.finish()

    def on_client_detached(self) -> None:
        """A client has typed its detach keys."""
        if self._on_detached is not None:
            self._on_detached()

    def on_client_gone(self, client: Attachment) -> None:
        """A client's socket was closed."""
        self._clients.remove(client)
        self.on_client_room()

    def on_client_room(self) -> None:
        """A client, or the log, that was full is not any more: reads on when nobody else is."""
        if self._is_paused and not self._is_full():
            self._is_paused = False
            for fd in self._outputs:
                self._loop.watch(fd, loop.READ)

    def drain(self, on_drained: Callable[[], None]) -> None:
        """Reads what an ended process has left, closes everything, and calls back, mostly at once."""
        if self._stdin is not None:
            self._stdin.close()
        self._on_drained = on_drained
        self._drain_until = time.monotonic() + _DRAIN_SECONDS
        for fd in list(self._outputs):
            while self._read(fd):
                if time.monotonic() > self._drain_until:
                    break
        if self._on_drained is not None and not self._outputs:
            self._finish()
        elif self._on_drained is not None:
            self.on_client_room()
            self._timer = self._loop.call_later(_IDLE_SECONDS, self._finish)

    def _finish(self) -> None:
        on_drained, self._on_drained = self._on_drained, None
        if self._timer is not None:
            self._timer.cancel()
        for fd in list(self._outputs):
            self._close_output(fd)
        if on_drained is not None:  # first: who sees the end of the streams may ask the daemon how it ended
            on_drained()
        for client in list(self._clients):
            client.finish()

    def _on_output(self, fd: int) -> None:
        self._read(fd)

    def _read(self, fd: int) -> bool:
        """Passes one piece on; False when there was none (the descriptor is closed at its end)."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return False
        except OSError:  # EIO: a terminal nobody holds any more
            data = b""
        if not data:
            self._close_output(fd)
            if self._on_drained is not None and not self._outputs and self._timer is not None:
                self._finish()
            return False
        stream = self._outputs[fd]
        if self._log is not None:
            self._log.write(stream, data, time.time_ns())
        for client in tuple(self._clients):
            client.send(stream, data)
        if self._on_drained is None:
            self._pause_for_clients()
        elif self._timer is not None and time.monotonic() < self._drain_until:
            self._timer.cancel()
            self._timer = self._loop.call_later(_IDLE_SECONDS, self._finish)
        return True

    def _pause_for_clients(self) -> None:
        if not self._is_paused and self._is_full():
            self._is_paused = True
            for fd in self._outputs:
                self._loop.watch(fd, 0)

    def _is_full(self) -> bool:
        return (self._log is not None and self._log.is_full) or any(client.is_full for client in self._clients)

    def _close_output(self, fd: int) -> None:
        self._loop.remove(fd)
        os.close(fd)
        del self._outputs[fd]

    def _on_stdin_room(self) -> None:
        for client in tuple(self._clients):
            client.resume()
