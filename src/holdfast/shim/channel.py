# SPDX-License-Identifier: Apache-2.0
"""Sends and receives `protocol` messages with file descriptors over one SOCK_SEQPACKET socket, never blocking.

Used by spawner, shim and client alike. Long messages travel in a sealed memfd, which is then the first descriptor.
Source: unix(7) §SCM_RIGHTS, recvmsg(2) §MSG_CMSG_CLOEXEC, memfd_create(2).
"""

from __future__ import annotations

import array
import fcntl
import os
import socket

from holdfast import errors
from holdfast.shim import protocol

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.shim.protocol import Message

_INLINE, _IN_MEMFD = b"i", b"m"
_MAX_FDS = 253  # SCM_MAX_FD: more fail with EINVAL
_SEALS = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_RECEIVE_FLAGS = socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC


class Channel:
    """One connected seqpacket socket; owns it."""

    __slots__ = ("_sock",)

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock

    def fileno(self) -> int:
        """The descriptor to poll."""
        return self._sock.fileno()

    def close(self) -> None:
        """Closes the socket; idempotent."""
        self._sock.close()

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Sends all or nothing; raises BlockingIOError when the peer's queue is full, OSError when it is gone."""
        data = protocol.encode(message)
        if len(fds) >= _MAX_FDS:
            raise errors.InvalidArgument(f"{len(fds)} file descriptors do not fit one message")
        if len(data) <= protocol.INLINE_LIMIT:
            self._send(_INLINE + data, fds)
            return
        memfd = _sealed(data)
        try:
            self._send(_IN_MEMFD, (memfd, *fds))
        finally:
            os.close(memfd)

    def _send(self, data: bytes, fds: Sequence[int]) -> None:
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._sock.sendmsg([data], rights, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def receive(self) -> tuple[Message, list[int]] | None:
        """Returns the next message and its descriptors (the caller's to close), None at the end of the stream.

        Raises BlockingIOError when there is none yet, Corrupt (nothing stays open) for a message that is damaged.
        """
        return self._receive(_RECEIVE_FLAGS)

    def wait(self) -> tuple[Message, list[int]] | None:
        """As `receive`, but waits for the message."""
        return self._receive(_RECEIVE_FLAGS & ~socket.MSG_DONTWAIT)

    def _receive(self, flags: int) -> tuple[Message, list[int]] | None:
        try:
            data, ancillary, flags, _ = self._sock.recvmsg(
                protocol.INLINE_LIMIT + 1, socket.CMSG_SPACE(_MAX_FDS * 4), flags
            )
        except ConnectionError:
            return None
        fds: list[int] = []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                fds.extend(received)
        if not data and not fds:
            return None
        try:
            if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
                raise errors.Corrupt("shim message was cut short")
            if data[:1] == _INLINE:
                return protocol.decode(data[1:]), fds
            if data != _IN_MEMFD or not fds:
                raise errors.Corrupt("shim message has an unknown form")
            memfd = fds.pop(0)
            try:
                message = protocol.decode(os.pread(memfd, os.fstat(memfd).st_size, 0))
            finally:
                os.close(memfd)
        except errors.Corrupt:
            for fd in fds:
                os.close(fd)
            raise
        return message, fds


def _sealed(data: bytes) -> int:
    memfd = os.memfd_create("hold-message", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(memfd, view) :]
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(memfd)
        raise
    return memfd
