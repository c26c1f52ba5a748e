# SPDX-License-Identifier: Apache-2.0
"""The way into a process: the write end of its stdin pipe, or its terminal; never blocks, holds one piece at most."""

from __future__ import annotations

import os

from holdfast.kernel import loop

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Stdin:
    """Owns a non-blocking descriptor; `on_room` is called when it can take more."""

    __slots__ = ("_fd", "_is_ending", "_loop", "_on_room", "_pending")

    def __init__(self, fd: int, poll: loop.Loop, on_room: Callable[[], None]) -> None:
        self._fd = fd
        self._loop = poll
        self._on_room = on_room
        self._pending = b""
        self._is_ending = False

    @property
    def is_open(self) -> bool:
        """Whether the process can still be told something."""
        return self._fd >= 0 and not self._is_ending

    @property
    def is_busy(self) -> bool:
        """Whether the process has not yet taken what it was given."""
        return bool(self._pending)

    def write(self, data: bytes) -> None:
        """Gives data to the process; drops it when the process has closed its end."""
        if not self.is_open:
            return
        was_busy = self.is_busy
        self._pending += data
        self._write_pending()
        if self._pending and not was_busy:
            self._loop.add(self._fd, loop.WRITE, self._on_ready)

    def end(self) -> None:
        """Closes as soon as everything is written: the process reads the end of its input."""
        self._is_ending = True
        if not self._pending:
            self.close()

    def close(self) -> None:
        """Closes now; idempotent."""
        if self._fd < 0:
            return
        if self._pending:
            self._pending = b""
            self._unwatch()
        os.close(self._fd)
        self._fd = -1

    def _on_ready(self, ready: int) -> None:
        self._write_pending()
        if not self._pending and self._fd >= 0:
            self._unwatch()
            if self._is_ending:
                self.close()
        if not self._pending:
            self._on_room()

    def _unwatch(self) -> None:
        try:
            self._loop.remove(self._fd)
        except KeyError:
            return

    def _write_pending(self) -> None:
        try:
            self._pending = self._pending[os.write(self._fd, self._pending) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()
