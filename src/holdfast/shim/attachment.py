# SPDX-License-Identifier: Apache-2.0
"""One client of a process's streams: what it has not taken yet, what it types, and when it is given up.

The socket is the client's own, handed over by the daemon, so it stays attached when the daemon dies. A client that
takes its time is waited for (`is_full` makes `streams` stop reading); one that takes nothing for 5 seconds is dropped,
so the container never freezes. Source: Engine API v1.47 ContainerAttach; half-close as dockerd 28.5 does it.
"""

from __future__ import annotations

import socket
import time

from holdfast.kernel import loop
from holdfast.shim import detach, protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.shim.protocol import Message
    from holdfast.shim.streams import Streams

BUFFER_LIMIT = 1024 * 1024
PATIENCE_SECONDS = 5.0

_CHUNK = 32 * 1024
_SEND_FLAGS = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


class Attachment:
    """A client's stream socket; owns it. `grant` says what flows (see `client.StreamGrant`)."""

    __slots__ = (
        "_detach",
        "_is_finishing",
        "_is_framed",
        "_is_reading",
        "_is_registered",
        "_loop",
        "_pending",
        "_progress_at",
        "_sock",
        "_streams",
        "_timer",
        "_wanted",
        "closes_stdin",
    )

    def __init__(self, sock: socket.socket, grant: Message, poll: loop.Loop, streams: Streams) -> None:
        self._sock = sock
        self._loop = poll
        self._streams = streams
        self._wanted = {protocol.STDOUT: bool(grant["stdout"]), protocol.STDERR: bool(grant["stderr"])}
        self._is_framed = bool(grant["framed"])
        self.closes_stdin = bool(grant["close_stdin"])
        self._detach = detach.DetachScanner(protocol.text_to_bytes(grant["detach_keys"]) if streams.is_tty else b"")
        self._is_reading = bool(grant["stdin"]) and streams.has_stdin
        self._is_finishing = False
        self._is_registered = False
        self._pending = bytearray()
        self._progress_at = 0.0
        self._timer: loop.Timer | None = None

    def start(self, typed_before: bytes) -> None:
        """Begins to listen; `typed_before` is what the daemon had already read from the client."""
        self._update()
        if typed_before and self._is_reading:
            self._take_input(typed_before)

    @property
    def is_full(self) -> bool:
        """Whether the container's output must wait for this client."""
        return len(self._pending) >= BUFFER_LIMIT

    @property
    def is_open(self) -> bool:
        """Whether there still is a client."""
        return self._sock.fileno() >= 0

    def send(self, stream: int, data: bytes) -> None:
        """Gives the client a piece of output, now or as soon as it takes it; never blocks."""
        if not self.is_open or not self._wanted[stream]:
            return
        parts = (protocol.frame_header(stream, len(data)), data) if self._is_framed else (data,)
        if self._pending:
            for part in parts:
                self._pending += part
        else:
            try:
                sent = self._sock.sendmsg(parts, (), _SEND_FLAGS)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.close()
                return
            whole = b"".join(parts)
            if sent == len(whole):
                return
            self._pending += whole[sent:]
            self._progress_at = time.monotonic()
            self._update()
        if self.is_full:
            self._be_patient()

    def finish(self) -> None:
        """Lets the client take what is pending, then closes; for a process that has ended."""
        self._is_reading = False
        self._is_finishing = True
        if self._pending:
            self._be_patient()
            self._update()
        else:
            self.close()

    def close(self) -> None:
        """Hangs up; idempotent. What the client has sent is read first: closing over unread bytes is a reset."""
        if not self.is_open:
            return
        self._unregister()
        if self._timer is not None:
            self._timer.cancel()
        try:
            while self._sock.recv(_CHUNK, socket.MSG_DONTWAIT):
                pass
        except OSError:
            pass
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._sock.close()
        self._pending.clear()
        self._streams.on_client_gone(self)

    def resume(self) -> None:
        """Reads on after the container has taken its input."""
        if self.is_open:
            self._update()

    def _update(self) -> None:
        events = loop.WRITE if self._pending else 0
        if self._is_reading and not self._streams.is_stdin_busy:
            events |= loop.READ
        if self._is_registered:
            self._loop.watch(self._sock.fileno(), events)
        else:
            self._loop.add(self._sock.fileno(), events, self._on_ready)
            self._is_registered = True

    def _unregister(self) -> None:
        if self._is_registered:
            self._loop.remove(self._sock.fileno())
            self._is_registered = False

    def _on_ready(self, ready: int) -> None:
        if ready & loop.WRITE and self._pending:
            self._flush()
        if not self.is_open:
            return
        if ready & loop.READ and self._is_reading:
            if not self._streams.is_stdin_busy:
                self._read()
        elif ready & loop.HANGUP:
            self._on_hangup()

    def _flush(self) -> None:
        was_full = self.is_full
        try:
            sent = self._sock.send(self._pending, _SEND_FLAGS)
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        del self._pending[:sent]
        self._progress_at = time.monotonic()
        if was_full and not self.is_full:
            self._streams.on_client_room()
        if not self._pending:
            if self._is_finishing:
                self.close()
            else:
                self._update()

    def _read(self) -> None:
        try:
            data = self._sock.recv(_CHUNK, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._take_input(data)
            return
        self._is_reading = False
        self._update()
        self._streams.on_client_end(self)

    def _take_input(self, data: bytes) -> None:
        typed, is_detached = self._detach.feed(data)
        if typed:
            self._streams.on_client_input(typed)
        if is_detached:
            self._streams.on_client_detached()
            self.finish()
        elif self._streams.is_stdin_busy and self.is_open:
            self._update()

    def _on_hangup(self) -> None:
        """The client is gone altogether; what it typed before may still wait for the container."""
        if not self._is_reading:
            self.close()
            return
        self._wanted = dict.fromkeys(self._wanted, False)
        self._pending.clear()
        self._unregister()  # hang-ups are reported for ever; `resume` comes back for the input
        self._streams.on_client_room()

    def _be_patient(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(PATIENCE_SECONDS, self._on_impatience)

    def _on_impatience(self) -> None:
        self._timer = None
        if not (self.is_full or self._is_finishing):
            return
        if time.monotonic() - self._progress_at >= PATIENCE_SECONDS:
            self.close()
        else:
            self._be_patient()
