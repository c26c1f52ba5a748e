# SPDX-License-Identifier: Apache-2.0
"""Makes the pipes of a process without a terminal: the process's ends, and ours."""

from __future__ import annotations

import fcntl
import os

from holdfast.shim import protocol

_PIPE_BYTES = 256 * 1024
"""Four times the default: fewer wake-ups under a flood. Memory is used only while data waits (pipe(7))."""


class Pipes:
    """Three pipes; both sides are closed by whoever takes them (`close_theirs`, `close`).

    What is to read nothing gets the null device from its maker, and our end is given up by `close_stdin`.
    """

    __slots__ = ("_theirs", "ours_in", "ours_out", "stderr", "stdin", "stdout")

    def __init__(self) -> None:
        self._theirs: list[int] = []
        self.ours_in: int | None = None
        self.ours_out: dict[int, int] = {}
        try:
            self._open()
        except OSError:
            self.close()
            raise

    def _open(self) -> None:
        self.stdin, self.ours_in = os.pipe2(os.O_CLOEXEC)
        self._theirs.append(self.stdin)
        for stream in (protocol.STDOUT, protocol.STDERR):
            self.ours_out[stream], end = os.pipe2(os.O_CLOEXEC)
            self._theirs.append(end)
            _enlarge(end)
        _, self.stdout, self.stderr = self._theirs

    @property
    def theirs(self) -> tuple[int, int, int]:
        """The process's ends: stdin, stdout, stderr."""
        return self.stdin, self.stdout, self.stderr

    def close_theirs(self) -> None:
        """Closes the process's ends once it has them; idempotent."""
        for end in self._theirs:
            os.close(end)
        self._theirs.clear()

    def close_stdin(self) -> None:
        """Closes our end of the input; idempotent."""
        if self.ours_in is not None:
            os.close(self.ours_in)
            self.ours_in = None

    def close(self) -> None:
        """Closes everything, for a process that did not start or has a terminal."""
        self.close_theirs()
        self.close_stdin()
        for end in self.ours_out.values():
            os.close(end)
        self.ours_out.clear()


def _enlarge(pipe: int) -> None:
    try:
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    except OSError:  # over the user's limit (pipe-user-pages-soft): the default size serves too
        return
