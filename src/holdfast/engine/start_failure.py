# SPDX-License-Identifier: Apache-2.0
"""Why a command was not executed, in Docker's words and numbers. Pure.

The docker CLI makes its own exit status 126 or 127 from the words, so they are an interface. Called by the jobs start
and exec. Source: moby 28 `daemon/errors.go` translateContainerdStartErr, docker CLI `run.go` toStatusError.
"""

from __future__ import annotations

import errno

from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.runtime.errors import StartError

_TASK = "failed to create task for container: "
_CREATE = _TASK + "failed to create shim task: OCI runtime create failed: runc create failed: "
_LOGGING = "failed to initialize logging driver: "
_INIT = "error during container init: "
_LAST_STEPS = frozenset(("exec", "identity", "rlimits", "seccomp", "clone", "user", "runtime"))
_START = "unable to start container process: "
_COMMANDS_FAULT = (errno.ENOENT, errno.EACCES, errno.EISDIR, errno.ENOTDIR, errno.ENOEXEC, errno.EPERM)


def worded(error: StartError) -> str:
    """The runtime's message as runc would say it."""
    text = error.message
    if text.endswith(": is a directory"):
        text = text.removesuffix("is a directory") + "is a directory: permission denied"
    return text if text.startswith(_START) else _START + text


def of_container(error: HoldfastError) -> HoldfastError:
    """A failed start's error: 400 when the command is at fault."""
    if not isinstance(error, StartError):
        if error.message.startswith(_LOGGING):
            error.message = _TASK + error.message
        return error
    text = _CREATE + (error.message if error.step == "plan" else _of_init(error))
    if error.errno in _COMMANDS_FAULT:
        return InvalidArgument(text)
    return StartError(text, step=error.step, errno=error.errno)


def _of_init(error: StartError) -> str:
    """With runc's note that the init had not yet come to the command."""
    text = worded(error)
    if error.step in _LAST_STEPS or error.message.startswith((_START, "exec: ", "chdir ")):
        return text
    return text.replace(_START, _START + _INIT, 1)


def exit_code(text: str) -> int:
    """What State.ExitCode shows after a start that failed."""
    if any(words in text for words in ("executable file not found", "no such file or directory", "not a directory")):
        return 127
    if any(words in text for words in ("permission denied", "is a directory")):
        return 126
    return 128
