# SPDX-License-Identifier: Apache-2.0
"""Starts processes from a child of the shim, which is used up by the one start that it does.

What a start touches (the spec, the plan, the runtime's code) would stay with the shim as long as its container lives:
1.5 MB of copied pages. So a `Maker` does it and is gone; the process is the shim's child all the same. A maker can be
born long before it is needed: its fork and its page faults, 2 ms, are then not part of a start. `labour` is its inside.
"""

from __future__ import annotations

import array
import os
import signal
import socket
from struct import unpack

from holdfast import errors
from holdfast.runtime import channel as gate
from holdfast.runtime.errors import StartError
from holdfast.shim import protocol
from holdfast.shim.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Protocol

    from holdfast.shim.protocol import Message
    from holdfast.shim.stdio import Pipes

    class Started(Protocol):
        """What a runtime returns for a process that runs."""

        pid: int
        pidfd: int
        console_fd: int | None


_LIMIT = 64 * 1024
_SPACE = socket.CMSG_SPACE(2 * 4) + socket.CMSG_SPACE(3 * 4)


class Born:
    """A process that runs and is ours to reap; the descriptors are the caller's to close."""

    __slots__ = ("console_fd", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, console_fd: int | None) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console_fd = console_fd


class Maker:
    """A child that waits for its order. It ends with the shim, or when it has carried the order out."""

    __slots__ = ("_pid", "_sock")

    def __init__(self, live: Callable[[socket.socket], None]) -> None:
        self._sock, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # the kernel says who speaks: the new process's pid as we see it, which it does not know itself
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        with theirs:
            self._pid = os.fork()
            if self._pid == 0:
                self._sock.close()
                live(theirs)
                os._exit(1)

    def order(self, order: Message | bytes, fds: Sequence[int]) -> None:
        """Has it start a process, by an order that may be as it came (`Channel.take`); OSError when it is dead."""
        channel = Channel(self._sock)
        if isinstance(order, bytes):
            channel.pass_on(order, fds)
        else:
            channel.send(order, fds)

    def end(self) -> None:
        """Ends it whatever it is doing; when this returns it makes nothing any more. To be called before it is reaped."""
        self._sock.close()
        os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def wait(self) -> Born:
        """Returns when the command has been executed; raises the HoldfastError for which it has not."""
        with self._sock:
            said, fds, pid = self._receive()
            if said == gate.READY:
                refusal, _, _ = self._receive()  # nothing when execve has closed the other end
                if refusal:
                    for fd in fds:
                        os.close(fd)
                    raise gate.read_refusal(refusal)
                return Born(pid, os.pidfd_open(pid), fds[0] if fds else None)
        if not said:
            raise StartError("the process that was to start the command died", step="maker", errno=0)
        if gate.is_refusal(said):
            raise gate.read_refusal(said)
        message = protocol.decode(said[1:])
        if "error" in message:
            raise error_of(message["error"])
        return Born(message["pid"], fds[0], fds[1] if len(fds) > 1 else None)

    def _receive(self) -> tuple[bytes, list[int], int]:
        """The next message, its descriptors, and the pid of the process that sent it."""
        try:
            said, ancillary, _, _ = self._sock.recvmsg(_LIMIT, _SPACE, socket.MSG_CMSG_CLOEXEC)
        except ConnectionError:
            return b"", [], 0
        fds = array.array("i")
        pid = 0
        for _, kind, payload in ancillary:
            if kind == socket.SCM_RIGHTS:
                fds.frombytes(payload)
            else:
                pid = unpack("3i", payload)[0]
        return said, fds.tolist(), pid


class Ordered:
    """A process that a maker has the order to start, and our ends of its streams."""

    __slots__ = ("_failure", "maker", "pipes")

    def __init__(self, maker: Maker, pipes: Pipes | None) -> None:
        self.maker = maker
        self.pipes = pipes
        self._failure: OSError | None = None

    def place(self, order: Message | bytes, fds: Sequence[int]) -> None:
        """Gives the maker the order, read or unread; that it could not be given is told by `wait`."""
        theirs = () if self.pipes is None else self.pipes.theirs
        try:
            self.maker.order(order, [*fds, *theirs])
        except OSError as error:
            self._failure = error
        if self.pipes is not None:
            self.pipes.close_theirs()

    def wait(self) -> Born:
        """Waits until it runs; raises what keeps it from running, with the streams closed."""
        try:
            if self._failure is not None:
                raise self._failure
            return self.maker.wait()
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        """Has it not started; what its maker has made so far stays."""
        self.maker.end()
        if self.pipes is not None:
            self.pipes.close()


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
