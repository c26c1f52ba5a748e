# SPDX-License-Identifier: Apache-2.0
"""Terminals of `hold-runc`: handed to a supervisor through its console socket, or relayed to the caller's own."""

from __future__ import annotations

import array
import errno
import os
import select
import signal
import socket
import sys
import termios
import tty

from holdfast.errors import InvalidArgument
from holdfast.kernel import terminal

_CHUNK = 32768
# what a foreground command passes on to the container
_FORWARDED = tuple(
    signal.valid_signals() - {signal.SIGCHLD, signal.SIGKILL, signal.SIGSTOP, signal.SIGPIPE, signal.SIGURG}
)


def check(*, has_terminal: bool, is_detached: bool, socket_path: str) -> None:
    """A detached terminal needs somebody to take it; nobody else does. InvalidArgument in runc's words."""
    if is_detached and has_terminal and not socket_path:
        raise InvalidArgument("cannot allocate tty if runc will detach without setting console socket")
    if (not is_detached or not has_terminal) and socket_path:
        raise InvalidArgument("cannot use console socket if runc will not detach or allocate tty")


def send(path: str, master: int) -> None:
    """Sends the pty's master to whoever listens at `path` (SCM_RIGHTS, as runc does)."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as end:
        directory = os.open(os.path.dirname(path), os.O_PATH | os.O_CLOEXEC)
        try:
            end.connect(f"/proc/self/fd/{directory}/{os.path.basename(path)}")
        except OSError as problem:
            why = os.strerror(problem.errno or 0).lower()
            raise InvalidArgument(f"dial unix {path}: connect: {why}") from problem
        finally:
            os.close(directory)
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]))]
        end.sendmsg([b"/dev/ptmx"], rights)


class Foreground:
    """Waits for a process as if it were this one: signals are passed on, a terminal (or None) is relayed."""

    __slots__ = ("_master", "_pidfd", "_saved", "_wake", "_written")

    def __init__(self, pidfd: int, master: int | None) -> None:
        self._pidfd = pidfd
        self._master = master
        self._saved: list[object] | None = None
        self._wake, self._written = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)

    def __enter__(self) -> Foreground:
        signal.set_wakeup_fd(self._written, warn_on_full_buffer=False)
        for number in _FORWARDED:
            signal.signal(number, _ignore)
        if self._master is not None and sys.stdin.isatty():
            self._saved = termios.tcgetattr(0)
            self._resize()
            tty.setraw(0, termios.TCSANOW)  # what was typed ahead is the container's
        return self

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(-1)
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, self._saved)  # pyright: ignore[reportArgumentType]  (tcgetattr's own)
        for fd in (self._wake, self._written):
            os.close(fd)

    def wait(self) -> int:
        """The exit code (128 + n for a signal), after all output of the terminal has been passed on."""
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        if self._master is not None:
            poll.register(self._master, select.POLLIN)
            poll.register(0, select.POLLIN)
        while True:
            ready = dict(poll.poll())
            if self._wake in ready:
                self._forward()
            if self._master is not None and self._master in ready and not _copy(self._master, 1):
                poll.unregister(self._master)
            elif 0 in ready and self._master is not None and not _copy(0, self._master):
                poll.unregister(0)
            if self._pidfd in ready:
                return self._finish()

    def _finish(self) -> int:
        while self._master is not None and select.select([self._master], [], [], 0)[0] and _copy(self._master, 1):
            continue
        ended = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED)
        if ended is None or ended.si_code == os.CLD_EXITED:
            return 0 if ended is None else ended.si_status
        return 128 + ended.si_status

    def _forward(self) -> None:
        for number in os.read(self._wake, 64):
            if number == signal.SIGWINCH and self._master is not None:
                self._resize()
            elif number in _FORWARDED:
                try:
                    signal.pidfd_send_signal(self._pidfd, number)
                except ProcessLookupError:
                    return

    def _resize(self) -> None:
        if self._master is not None and sys.stdin.isatty():
            terminal.set_size(self._master, *terminal.get_size(0))


def _ignore(number: int, frame: object) -> None:
    """A Python handler has to exist for the wake-up descriptor to be written."""
    del number, frame


def _copy(source: int, target: int) -> bool:
    """Passes on what can be read; False at the end (a pty whose last slave closed reads as EIO)."""
    try:
        chunk = os.read(source, _CHUNK)
        while chunk:
            written = os.write(target, chunk)
            if written == len(chunk):
                return True
            chunk = chunk[written:]
    except OSError as problem:
        if problem.errno not in (errno.EIO, errno.EPIPE, errno.EBADF):
            raise
    return False
