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
            self.pass_on(_INLINE + data, fds)
            return
        memfd = _sealed(data)
        try:
            self.pass_on(_IN_MEMFD, (memfd, *fds))
        finally:
            os.close(memfd)

    def receive(self) -> tuple[Message, list[int]] | None:
        """Returns the next message and its descriptors (the caller's to close), None at the end of the stream.

        Raises BlockingIOError when there is none yet, Corrupt (nothing stays open) for a message that is damaged.
        """
        return _read_taken(self.take())

    def wait(self) -> tuple[Message, list[int]] | None:
        """As `receive`, but waits for the message."""
        return _read_taken(self.take(waits=True))

    def take(self, *, waits: bool = False) -> tuple[bytes, list[int]] | None:
        """As `receive`, but unread, for `pass_on` of another channel and for `read`."""
        return self._take(_RECEIVE_FLAGS & ~socket.MSG_DONTWAIT if waits else _RECEIVE_FLAGS)

    def pass_on(self, data: bytes, fds: Sequence[int]) -> None:
        """Sends what another channel's `take` has returned, perhaps with more descriptors; as `send`."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        self._sock.sendmsg([data], rights, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _take(self, flags: int) -> tuple[bytes, list[int]] | None:
        try:
            data, ancillary, flags, _ = self._receive_raw(flags)
        except ConnectionError:
            return None
        fds: list[int] = []
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                received = array.array("i")
                received.frombytes(payload[: len(payload) - len(payload) % received.itemsize])
                fds.extend(received)
        if flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC):
            _close(fds)
            raise errors.Corrupt("shim message was cut short")
        return (data, fds) if data or fds else None

    def _receive_raw(self, flags: int) -> tuple[bytes, list[tuple[int, int, bytes]], int, object]:
        room = protocol.INLINE_LIMIT + 1, socket.CMSG_SPACE(_MAX_FDS * 4)
        try:
            return self._sock.recvmsg(*room, flags)
        except (
            ConnectionResetError
        ):  # told once, before what the peer had sent when it hung up with our messages unread
            return self._sock.recvmsg(*room, flags)


def read(data: bytes, fds: list[int]) -> tuple[Message, list[int]]:
    """The message that `take` has returned, and its descriptors; Corrupt, with all of them closed."""
    try:
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
        _close(fds)
        raise
    return message, fds


def _read_taken(taken: tuple[bytes, list[int]] | None) -> tuple[Message, list[int]] | None:
    return None if taken is None else read(*taken)


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)


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
