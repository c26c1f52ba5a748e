# SPDX-License-Identifier: Apache-2.0
"""The courier's life: takes runs of lines from the shim, makes entries of them, and has a sink deliver them.

It runs in a child of the shim that does nothing else, so it may wait. When the shim has said everything it stays for
ten seconds at most. Called by `courier`, in the child.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import time
from struct import Struct

from holdfast import errors
from holdfast.kernel import process

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.logs.driver import Sink

HEAD = Struct("<BxxxIQ")
"""Before each run of lines: stream, length, nanoseconds since the epoch."""

READY = b"\0"
NAME = "hold-courier"
_FAREWELL_SECONDS = 10.0
_SLICE_SECONDS = 0.5
_CHUNK = 256 * 1024
_MOST_DESCRIPTORS = 1 << 20


class Entry:
    """One line, or a piece of a long one; see `driver.Entry`."""

    __slots__ = ("is_last", "nanos", "partial_id", "partial_ordinal", "stream", "text")

    def __init__(
        self, stream: int, text: bytes, nanos: int, partial_id: str = "", ordinal: int = 0, is_last: bool = True
    ) -> None:
        self.stream = stream
        self.text = text
        self.nanos = nanos
        self.partial_id = partial_id
        self.partial_ordinal = ordinal
        self.is_last = is_last


class LeaseEnded(Exception):
    """The container has ended long enough ago; what is left is given up."""


class Lease:
    """How long the courier may still wait for its collector: for ever while the shim is there."""

    def __init__(self, sock: socket.socket) -> None:
        self._poll = select.poll()
        self._poll.register(sock, select.POLLRDHUP)
        self._ends_at = 0.0

    def check(self) -> None:
        """Raises LeaseEnded when it is time to go; called at least twice a second by who waits."""
        if not self._ends_at and self._poll.poll(0):
            self._ends_at = time.monotonic() + _FAREWELL_SECONDS
        if self._ends_at and time.monotonic() > self._ends_at:
            raise LeaseEnded

    def sleep(self, seconds: float) -> None:
        """Waits, but not longer than it may."""
        until = time.monotonic() + seconds
        while True:
            self.check()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, _SLICE_SECONDS))

    slice_seconds = _SLICE_SECONDS
    """For the timeouts of sockets."""


class EntryMaker:
    """Makes entries of one stream's runs; numbers the pieces of long lines as Docker does."""

    __slots__ = ("_nanos", "_ordinal", "_partial_id", "_stream")

    def __init__(self, stream: int) -> None:
        self._stream = stream
        self._partial_id = ""
        self._ordinal = 0
        self._nanos = 0

    def make(self, run: bytes, now: int) -> list[Entry]:
        """Returns the entries of whole lines, or of one piece."""
        if not run.endswith(b"\n"):
            if not self._partial_id:
                self._partial_id, self._ordinal, self._nanos = os.urandom(32).hex(), 0, now
            self._ordinal += 1
            return [Entry(self._stream, run, self._nanos, self._partial_id, self._ordinal, is_last=False)]
        entries = [Entry(self._stream, text, now) for text in run[:-1].split(b"\n")]
        if self._partial_id:
            last = entries[0]
            entries[0] = Entry(self._stream, last.text, self._nanos, self._partial_id, self._ordinal + 1)
            self._partial_id = ""
        return entries


def live(sock: socket.socket, open_sink: Callable[[Lease], Sink], *, is_first: bool) -> None:
    """Delivers until the shim hangs up. Never returns normally from a lost lease: the process is to end then."""
    signal.set_wakeup_fd(-1)
    os.closerange(3, sock.fileno())
    os.closerange(sock.fileno() + 1, _MOST_DESCRIPTORS)
    process.set_name(NAME)
    gc.enable()
    lease = Lease(sock)
    try:
        sink = open_sink(lease)
        sink.connect()
    except errors.HoldfastError as error:
        if is_first:
            sock.sendall(error.message.encode())
            return
        sink = open_sink(lease)
    if is_first:
        sock.sendall(READY)
    try:
        _deliver_all(sock, sink)
        sink.close()
    except LeaseEnded:
        return


def _deliver_all(sock: socket.socket, sink: Sink) -> None:
    makers = {stream: EntryMaker(stream) for stream in (1, 2)}
    received = bytearray()
    while data := sock.recv(_CHUNK):
        received += data
        position = 0
        entries: list[Entry] = []
        while len(received) - position >= HEAD.size:
            stream, size, nanos = HEAD.unpack_from(received, position)
            start = position + HEAD.size
            if len(received) < start + size:
                break
            entries += makers[stream].make(bytes(received[start : start + size]), nanos)
            position = start + size
        del received[:position]
        if entries:
            sink.deliver(entries)
