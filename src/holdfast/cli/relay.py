# SPDX-License-Identifier: Apache-2.0
"""Carries bytes between this process's stdio and an upgraded connection until the daemon closes it.

One `select` loop, no threads: standard input to the stream (half-closed at its end), the stream to stdout and stderr,
frames taken apart when there is no tty. Signals that arrive meanwhile are handed to `on_signal` (signal proxy, window changes).
"""

from __future__ import annotations

import _socket
import os
import select
import signal
import sys

from holdfast.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import FrameType

    from holdfast.client.api import Upgraded

_CHUNK_BYTES = 65536
_NOT_PROXIED = frozenset(
    {signal.SIGCHLD, signal.SIGPIPE, signal.SIGURG, signal.SIGKILL, signal.SIGSTOP, signal.SIGTTIN, signal.SIGTTOU}
    | {signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP}
)


class Signals:
    """Collects signals through a wake-up pipe while a `with` block runs, and puts the old handlers back."""

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._numbers = tuple(numbers)
        self._before: dict[int, object] = {}
        self.read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._wakeup_before = -1

    def __enter__(self) -> Signals:
        self._wakeup_before = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        for number in self._numbers:
            self._before[number] = signal.signal(number, _noted)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # pyright: ignore[reportArgumentType]
        signal.set_wakeup_fd(self._wakeup_before)
        os.close(self.read_fd)
        os.close(self._write_fd)

    def take(self) -> bytes:
        """The numbers of the signals that came since the last call."""
        try:
            return os.read(self.read_fd, 64)
        except BlockingIOError:
            return b""


def _noted(_number: int, _frame: FrameType | None) -> None:
    """The wake-up pipe carries the number; nothing is left to do here."""


def proxied_signals() -> list[signal.Signals]:
    """Every signal that `--sig-proxy` forwards: all but the faults, job control of our own, and what cannot be caught."""
    return [number for number in signal.Signals if number not in _NOT_PROXIED]


class Relay:
    """One attached session."""

    def __init__(
        self,
        upgraded: Upgraded,
        *,
        framed: bool,
        stdin_fd: int | None,
        outputs: tuple[int | None, int | None] = (1, 2),
        detach_keys: bytes = b"",
    ) -> None:
        self._stream = upgraded.stream
        self._ahead = upgraded.ahead
        self._demultiplexer = frames.Demultiplexer() if framed else None
        self._stdin_fd = stdin_fd
        self._outputs = outputs
        self._detach_keys = detach_keys
        self._matched = b""
        self.was_detached = False

    def run(self, signals: Signals | None = None, on_signal: Callable[[int], None] | None = None) -> None:
        """Returns when the stream has ended, or the detach keys were typed."""
        if self._ahead:
            self._show(self._ahead)
        while not self.was_detached:
            watched: list[int] = [self._stream.fileno()]
            if self._stdin_fd is not None:
                watched.append(self._stdin_fd)
            if signals is not None:
                watched.append(signals.read_fd)
            pending = getattr(self._stream, "pending", None)
            ready = watched[:1] if pending is not None and pending() else select.select(watched, [], [])[0]
            if signals is not None and on_signal is not None and signals.read_fd in ready:
                for number in signals.take():
                    on_signal(number)
            if self._stdin_fd is not None and self._stdin_fd in ready:
                self._send_input()
            if watched[0] in ready and not self._receive():
                return

    def _receive(self) -> bool:
        try:
            data = self._stream.recv(_CHUNK_BYTES)
        except ConnectionResetError:
            return False
        if data:
            self._show(data)
        return bool(data)

    def _show(self, data: bytes) -> None:
        if self._demultiplexer is None:
            _write_all(self._outputs[0], data)
            return
        for stream, piece in self._demultiplexer.feed(data):
            _write_all(self._outputs[1] if stream == frames.STDERR else self._outputs[0], piece)

    def _send_input(self) -> None:
        assert self._stdin_fd is not None
        data = os.read(self._stdin_fd, _CHUNK_BYTES)
        if not data:
            self._stdin_fd = None
            try:
                self._stream.shutdown(_socket.SHUT_WR)
            except OSError:
                pass
            return
        data = self._scan_detach(data)
        try:
            self._stream.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            self._stdin_fd = None

    def _scan_detach(self, data: bytes) -> bytes:
        """Passes input on byte by byte, holding back what may be the start of the detach keys."""
        keys = self._detach_keys
        if not keys:
            return data
        passed = bytearray()
        for byte in data:
            if byte == keys[len(self._matched)]:
                self._matched += bytes((byte,))
                if self._matched == keys:
                    self.was_detached = True
                    return bytes(passed)
            else:
                passed += self._matched
                self._matched = b""
                if byte == keys[0]:
                    self._matched = bytes((byte,))
                else:
                    passed.append(byte)
        return bytes(passed)


def _write_all(fd: int | None, data: bytes) -> None:
    if fd is None:
        return
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            select.select([], [fd], [])


def parse_detach_keys(text: str) -> bytes:
    """ "ctrl-p,ctrl-q" to bytes; InvalidArgument for anything that is neither a character nor ctrl-<char>."""
    from holdfast import errors

    keys = bytearray()
    for word in (text or "ctrl-p,ctrl-q").split(","):
        if len(word) == 1:
            keys += word.encode()
        elif word.startswith("ctrl-") and len(word) == 6 and ("a" <= word[5] <= "z" or word[5] in "@[\\]^_"):
            keys.append(0 if word[5] == "@" else ord(word[5].upper()) & 0x1F)
        else:
            raise errors.InvalidArgument(f"invalid detach keys ({text}): unknown character: '{word}'")
    return bytes(keys)


def stdin_fd() -> int:
    """The descriptor of standard input."""
    return sys.stdin.fileno() if sys.stdin is not None else 0
