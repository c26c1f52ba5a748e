# SPDX-License-Identifier: Apache-2.0
"""Starts processes from a child of the shim, whose memory goes when it has done so.

What a start touches (the spec, the plan, the runtime's code) would stay with the shim as long as its container lives:
1.5 MB of copied pages. The child's own child becomes the shim's, because the shim is a sub-reaper (prctl(2)); its
descriptors come back by SCM_RIGHTS. Costs one fork.
"""

from __future__ import annotations

import os
import socket

from holdfast import errors
from holdfast.runtime.errors import StartError
from holdfast.shim.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from holdfast.shim.protocol import Message

    class Started(Protocol):
        """What a runtime returns for a process that runs."""

        pid: int
        pidfd: int
        console_fd: int | None


class Born:
    """A process that runs and is ours to reap; the descriptors are the caller's to close."""

    __slots__ = ("console_fd", "note", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, console_fd: int | None, note: Message) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console_fd = console_fd
        self.note = note


def give(start: Callable[[], tuple[Started, Message]]) -> Born:
    """Runs `start` in a child and returns what it started, with its note; raises the HoldfastError that it raised."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        with theirs:
            child = os.fork()
            if child == 0:
                _labour(start, Channel(theirs))
        ours.setblocking(True)
        answer = Channel(ours).wait()
    os.waitpid(child, 0)
    if answer is None:
        raise errors.Internal("the process that was to start the command died")
    message, fds = answer
    if "error" in message:
        raise error_of(message["error"])
    return Born(message["pid"], fds[0], fds[1] if len(fds) > 1 else None, message["note"])


def _labour(start: Callable[[], tuple[Started, Message]], channel: Channel) -> None:
    """The child's whole life."""
    try:
        started, note = start()
        fds = [started.pidfd] if started.console_fd is None else [started.pidfd, started.console_fd]
        channel.send({"pid": started.pid, "note": note}, fds)
    except errors.HoldfastError as error:
        channel.send({"error": describe(error)})
    except BaseException as error:  # noqa: BLE001  (the last frame of a fork: what is above belongs to the parent)
        channel.send({"error": describe(errors.Internal(f"{type(error).__name__}: {error}"))})
    finally:
        os._exit(0)


def describe(error: errors.HoldfastError) -> Message:
    """An error as the inside of a message."""
    description: Message = {"kind": type(error).__name__, "message": error.message}
    if isinstance(error, StartError):
        description.update(step=error.step, errno=error.errno)
    return description


def error_of(description: Message) -> errors.HoldfastError:
    """Makes the error again that `describe` has described."""
    kind, message = description["kind"], description["message"]
    if kind == StartError.__name__:
        return StartError(message, step=description["step"], errno=description["errno"])
    found = getattr(errors, kind, errors.Internal)
    return found(message) if issubclass(found, errors.HoldfastError) else errors.Internal(message)
