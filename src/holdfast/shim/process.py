# SPDX-License-Identifier: Apache-2.0
"""What the shim knows of one process it watches: the container's init, or an exec."""

from __future__ import annotations

import os
import signal
import time

from holdfast import errors
from holdfast.kernel import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.shim.protocol import Message
    from holdfast.shim.streams import Streams

_SIGNALLED = 128
_PF_EXITING = 4
_FLAGS = 6


class Process:
    """A running or ended process; `exec_id` is None for the container's init. Owns pidfd and streams."""

    __slots__ = ("_console_fd", "_pidfd", "exec_id", "exit_code", "finished_at", "pid", "started_at", "streams")

    def __init__(self, exec_id: str | None, pid: int, pidfd: int, console_fd: int | None, streams: Streams) -> None:
        self.exec_id = exec_id
        self.pid = pid
        self.started_at = time.time_ns()
        self._pidfd = pidfd
        self._console_fd = console_fd
        self.streams = streams
        self.exit_code: int | None = None
        self.finished_at = 0

    @property
    def pidfd(self) -> int:
        """A descriptor of the process; raises Conflict when it has ended."""
        if self.exit_code is not None:
            raise errors.Conflict("process is not running")
        return self._pidfd

    @property
    def is_dying(self) -> bool:
        """Whether it has ended or is about to: an init first waits for the end of all it has, without its namespaces.

        Source: proc_pid_stat(5) `flags`, PF_EXITING of Linux `include/linux/sched.h`.
        """
        if self.exit_code is not None:
            return True
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as stat:
                fields = stat.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return True
        return bool(int(fields[_FLAGS]) & _PF_EXITING)

    def kill(self, number: int) -> None:
        """Sends a signal; raises Conflict when the process has ended, InvalidArgument for a wrong number."""
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            raise errors.Conflict("process is not running") from None
        except OSError as error:
            raise errors.InvalidArgument(f"cannot send signal {number}: {error.strerror}") from None

    def resize(self, height: int, width: int) -> None:
        """Sets the size of its terminal; raises Conflict when there is none (any more)."""
        if self._console_fd is None or self.exit_code is not None or not self.streams.reads(self._console_fd):
            raise errors.Conflict("process has no terminal to resize")
        terminal.set_size(self._console_fd, height, width)

    def end(self, wait_status: int, on_drained: Callable[[], None]) -> None:
        """Takes note of its end; calls back when its last output has gone where it belongs."""
        code = os.waitstatus_to_exitcode(wait_status)
        self.exit_code = code if code >= 0 else _SIGNALLED - code
        self.finished_at = time.time_ns()
        os.close(self._pidfd)
        self._console_fd = None  # closed by the streams, whose output it was
        self.streams.drain(on_drained)

    def to_message(self) -> Message:
        """What a new daemon must know of it."""
        return {
            "exec_id": self.exec_id,
            "pid": self.pid,
            "tty": self.streams.is_tty,
            "started_at": self.started_at,
            "exit_code": self.exit_code,
            "finished_at": self.finished_at,
        }
