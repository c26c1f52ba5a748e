# SPDX-License-Identifier: Apache-2.0
"""A log that goes to a collector: the shim's side, which never waits (boot path).

A child of the shim, the courier, speaks to the collector: it may look up names, shake hands over TLS and wait for an
answer, while the shim goes on serving the container. Between the two is a socket. What does not fit into it waits here:
in blocking mode the container waits too (`is_full`), otherwise what exceeds the buffer is dropped, whole lines at a
time. A courier that dies is replaced. The readable copy, where one is kept, is written here. See `delivery` for the
other side, `driver.Writer` for the verbs.
"""

from __future__ import annotations

import os
import select
import socket

from holdfast import errors
from holdfast.logs import delivery, lines, policy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import ModuleType

    from holdfast.logs.driver import Poll, Sink, Target, Writer

_HANDSHAKE_SECONDS = 60.0
_REPLACE_SECONDS = 1.0
_SEND = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL


def open_writer(driver: ModuleType, target: Target, open_cache: Callable[[Target], Writer]) -> CourierWriter:
    """Starts the courier, opens the readable copy where one is kept.

    Raises InvalidArgument for the options, Unavailable when the collector cannot be reached.
    """
    given = target["options"]
    own = policy.drivers_own(given)
    driver.check(own)
    most_bytes, most_entries = policy.buffer_bytes(given), 0
    if not most_bytes and hasattr(driver, "buffer_entries"):
        most_entries = driver.buffer_entries(own)
    cache = open_cache(target) if target["cache_path"] else None
    return CourierWriter(lambda lease: driver.open_sink(target, lease), Room(most_bytes, most_entries), cache)


class Room:
    """How much may wait in the shim: nothing to speak of, when both limits are 0 and the container waits instead."""

    __slots__ = ("_bytes", "_entries", "_most_bytes", "_most_entries")

    MOST_BYTES = 16 * 1024 * 1024
    """However many entries are allowed."""

    def __init__(self, most_bytes: int, most_entries: int) -> None:
        self._most_bytes = most_bytes or self.MOST_BYTES
        self._most_entries = most_entries
        self._bytes = self._entries = 0
        if not most_bytes and not most_entries:
            self._most_bytes = 0

    @property
    def is_lossy(self) -> bool:
        """Whether something is dropped rather than waited for."""
        return self._most_bytes > 0

    def take(self, size: int, entries: int) -> bool:
        """Whether so much more may wait; if so it is counted. In an empty buffer everything finds room, as in Docker."""
        is_too_much = self._bytes + size > self._most_bytes or 0 < self._most_entries < self._entries + entries
        if self.is_lossy and self._bytes and is_too_much:
            return False
        self._bytes += size
        self._entries += entries
        return True

    def give_back(self) -> None:
        """Nothing waits any more."""
        self._bytes = self._entries = 0


class CourierWriter:
    """One container's way to its collector."""

    __slots__ = (
        "_cache",
        "_cutters",
        "_is_closed",
        "_is_ready",
        "_is_replacing",
        "_on_room",
        "_open_sink",
        "_pending",
        "_poll",
        "_room",
        "_sock",
    )

    def __init__(self, open_sink: Callable[[delivery.Lease], Sink], room: Room, cache: Writer | None) -> None:
        self._open_sink = open_sink
        self._room = room
        self._cache = cache
        self._cutters: Mapping[int, lines.LineCutter] = {stream: lines.LineCutter() for stream in (1, 2)}
        self._pending = bytearray()
        self._poll: Poll | None = None
        self._on_room: Callable[[], None] | None = None
        self._is_closed = self._is_replacing = False
        self._sock = self._start(is_first=True)
        self._sock.settimeout(_HANDSHAKE_SECONDS)
        try:
            said = self._sock.recv(4096)
        except TimeoutError:
            said = b"the collector does not answer"
        if said != delivery.READY:
            self._sock.close()
            raise errors.Unavailable(said.decode("utf-8", "replace") or "the process that speaks to the collector died")
        self._sock.setblocking(False)

    @property
    def is_full(self) -> bool:
        """Whether the container has to wait."""
        return bool(self._pending) and not self._room.is_lossy

    @property
    def is_busy(self) -> bool:
        """Whether something is still to be handed to the courier."""
        return bool(self._pending)

    def watch(self, poll: Poll, on_room: Callable[[], None]) -> None:
        """See `driver.Writer`."""
        self._poll = poll
        self._on_room = on_room
        poll.add(self._sock.fileno(), 0, self._on_ready)

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Takes a piece of output; see `driver.Writer`."""
        if self._cache is not None:
            self._cache.write(stream, data, now)
        for run in self._cutters[stream].feed(data):
            self._post(stream, run, now)

    def close(self, now: int) -> None:
        """Hands on what is unfinished; what waits is sent while the shim lives; see `is_busy`."""
        if self._is_closed:
            return
        if self._cache is not None:
            self._cache.close(now)
        for stream, cutter in self._cutters.items():
            tail = cutter.flush()
            if tail:
                self._post(stream, tail, now)
        self._is_closed = True
        if not self._pending:
            self._hang_up()

    def _post(self, stream: int, run: bytes, now: int) -> None:
        message = delivery.HEAD.pack(stream, len(run), now) + run
        if self._pending or self._is_replacing:
            if self._room.take(len(message), run.count(b"\n") or 1):
                self._pending += message
            return
        try:
            sent = self._sock.send(message, _SEND)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._replace()
            sent = 0
        if sent < len(message):
            self._room.take(len(message), run.count(b"\n") or 1)
            self._pending += message[sent:]
            self._listen()

    def _on_ready(self, ready: int) -> None:
        if ready & (select.EPOLLHUP | select.EPOLLERR):
            self._replace()
            return
        try:
            sent = self._sock.send(self._pending, _SEND) if self._pending else 0
        except BlockingIOError:
            return
        except OSError:
            self._replace()
            return
        del self._pending[:sent]
        if self._pending:
            return
        self._room.give_back()
        if self._is_closed:
            self._hang_up()
            return
        self._listen()
        if self._on_room is not None:
            self._on_room()

    def _listen(self) -> None:
        if self._poll is not None and not self._is_replacing:
            self._poll.watch(self._sock.fileno(), select.EPOLLOUT if self._pending else 0)

    def _start(self, *, is_first: bool) -> socket.socket:
        ours, theirs = socket.socketpair()
        if os.fork() == 0:
            try:
                delivery.live(theirs, self._open_sink, is_first=is_first)
            finally:
                os._exit(1)
        theirs.close()
        return ours

    def _replace(self) -> None:
        """The courier is dead: what it had is lost, and part of a message that it had begun to take."""
        if self._is_replacing or self._poll is None:
            return
        self._poll.remove(self._sock.fileno())
        self._sock.close()
        self._pending.clear()
        self._room.give_back()
        if self._is_closed:
            return
        self._is_replacing = True
        self._poll.call_later(_REPLACE_SECONDS, self._resume)

    def _resume(self) -> None:
        self._is_replacing = False
        if self._is_closed or self._poll is None:
            self._pending.clear()
            return
        self._sock = self._start(is_first=False)
        self._sock.setblocking(False)
        self._poll.add(self._sock.fileno(), select.EPOLLOUT if self._pending else 0, self._on_ready)

    def _hang_up(self) -> None:
        if self._poll is not None and not self._is_replacing:
            self._poll.remove(self._sock.fileno())
        self._sock.close()
