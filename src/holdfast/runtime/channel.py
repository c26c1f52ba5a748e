# SPDX-License-Identifier: Apache-2.0
"""The pair of sockets between a maker and the init it makes: a few fixed messages, an error, a terminal.

The init says `ready` (with the pty master where there is one), waits for `go`, and its end closes by execve. An error
is one message: step, errno, text. Used by container, exec and init; the peer is our own code, so nothing is parsed twice.
"""

from __future__ import annotations

import os
import socket

from holdfast.runtime.errors import StartError

READY = b"R"
GO = b"G"
PAUSED = b"P"
_ERROR = b"E"
_LIMIT = 8192
_FD_SPACE = socket.CMSG_SPACE(4)


class Refusal(Exception):
    """Inside the init: a step failed; becomes a StartError on the other side."""

    def __init__(self, step: str, errno: int, text: str) -> None:
        super().__init__(step, errno, text)
        self.step = step
        self.errno = errno
        self.text = text


class Channel:
    """One end of the pair."""

    __slots__ = ("_socket",)

    def __init__(self, end: socket.socket) -> None:
        self._socket = end

    def fileno(self) -> int:
        """The descriptor of this end."""
        return self._socket.fileno()

    def send(self, message: bytes, fd: int | None = None) -> None:
        """Sends one message, with a descriptor if there is one."""
        if fd is None:
            self._socket.send(message, socket.MSG_NOSIGNAL)
        else:
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fd.to_bytes(4, "little"))]
            self._socket.sendmsg([message], rights, socket.MSG_NOSIGNAL)

    def send_refusal(self, step: str, errno: int, text: str) -> None:
        """Says why the init gives up."""
        body = f"{step}\0{errno}\0{text}".encode(errors="surrogateescape")
        self._socket.send(_ERROR + body[: _LIMIT - 1], socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[bytes, int | None]:
        """Waits for one message: (message, descriptor); an empty message is the other end's close. Raises StartError."""
        try:
            message, ancillary, _, _ = self._socket.recvmsg(_LIMIT, _FD_SPACE, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            return b"", None
        if is_refusal(message):
            raise read_refusal(message)
        if ancillary:
            return message, int.from_bytes(ancillary[0][2][:4], "little")
        return message, None

    def move_to(self, listener: socket.socket) -> None:
        """Waits for a new peer at `listener` and talks to that one from here on."""
        accepted, _ = listener.accept()
        self._socket.close()
        listener.close()
        self._socket = accepted

    def detach(self) -> int:
        """Gives the descriptor of this end away."""
        return self._socket.detach()

    def close(self) -> None:
        """Closes this end."""
        self._socket.close()


def is_refusal(message: bytes) -> bool:
    """Whether a message is what `send_refusal` sends."""
    return message[:1] == _ERROR


def read_refusal(message: bytes) -> StartError:
    """The error in it."""
    step, errno, text = message[1:].split(b"\0", 2)
    return StartError(text.decode(errors="surrogateescape"), step=step.decode(), errno=int(errno))


def make_pair() -> tuple[Channel, Channel]:
    """Two connected ends, both close-on-exec."""
    mine, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    return Channel(mine), Channel(its)


def reason(error: OSError) -> str:
    """An errno in the words that Go programs use, which Docker's clients look for."""
    return os.strerror(error.errno).lower() if error.errno else str(error)
