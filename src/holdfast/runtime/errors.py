# SPDX-License-Identifier: Apache-2.0
"""Why a container or an exec did not start: one class, because the caller's only choice is to tell the user.

`message` carries the texts that Docker's clients and its exit codes 126 and 127 are derived from.
"""

from __future__ import annotations

from holdfast.errors import HoldfastError


class StartError(HoldfastError):
    """A step between the request and execve was refused by the kernel, or the command cannot be executed."""

    http_status = 400

    def __init__(self, message: str, *, step: str, errno: int = 0) -> None:
        super().__init__(message)
        self.step = step
        self.errno = errno
