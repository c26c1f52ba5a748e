# SPDX-License-Identifier: Apache-2.0
"""How an error is shown and which exit code it becomes; the only place that decides either.

The daemon's words choose between 126, 127 and 125 for `run`, as in the docker CLI (`toStatusError`).
"""

from __future__ import annotations

import sys

from holdfast import errors
from holdfast.cli import table


class ExitCode(errors.HoldfastError):
    """An error whose exit code its raiser already knows; an empty message prints nothing."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def start_code(message: str) -> int:
    """126 when the command cannot be executed, 127 when there is none, 125 for everything else."""
    if "executable file not found" in message or "no such file or directory" in message:
        return 127
    if "permission denied" in message or "is a directory" in message:
        return 126
    return 125


def report(error: errors.HoldfastError, words: list[str]) -> int:
    """Prints the error on stderr and returns the exit code."""
    message = table.printable(error.message)
    if isinstance(error, ExitCode):
        if message:
            sys.stderr.write(f"hold: {message}\n")
        return error.code
    if message:
        sys.stderr.write(f"hold: {message}\n")
    command = next((word for word in words if not word.startswith("-")), "")
    if command == "run":
        return start_code(error.message)
    return 1
