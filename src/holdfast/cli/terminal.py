# SPDX-License-Identifier: Apache-2.0
"""The local terminal: is it one, how large is it, raw mode and back."""

from __future__ import annotations

import os
import sys
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


def is_terminal(fd: int) -> bool:
    """True when `fd` is a terminal."""
    return os.isatty(fd)


def size(fd: int = 1) -> tuple[int, int] | None:
    """(height, width) in characters, or None when `fd` is no terminal."""
    try:
        columns, lines = os.get_terminal_size(fd)
    except OSError:
        return None
    return (lines, columns) if lines and columns else None


class RawMode:
    """Puts standard input's terminal into raw mode for a `with` block; does nothing when it is no terminal."""

    def __init__(self, fd: int | None = None) -> None:
        self._fd = sys.stdin.fileno() if fd is None else fd
        self._before: list[object] | None = None

    def __enter__(self) -> RawMode:
        if os.isatty(self._fd):
            self._before = termios.tcgetattr(self._fd)
            mode = termios.tcgetattr(self._fd)
            mode[0] &= ~(
                termios.IGNBRK
                | termios.BRKINT
                | termios.PARMRK
                | termios.ISTRIP
                | termios.INLCR
                | termios.IGNCR
                | termios.ICRNL
                | termios.IXON
            )
            mode[1] &= ~termios.OPOST
            mode[2] = (mode[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
            mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
            mode[6][termios.VMIN] = 1
            mode[6][termios.VTIME] = 0
            termios.tcsetattr(self._fd, termios.TCSANOW, mode)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._before)  # pyright: ignore[reportArgumentType]
            self._before = None
