# SPDX-License-Identifier: Apache-2.0
"""Netlink transport: attributes, batches, dumps and notifications, with nothing but `struct` and one socket.

A batch is one `sendto`: the kernel works the messages off in order and answers each, also behind a failed one, so a
batch must hold only messages that are harmless when an earlier one failed. What the messages mean for links,
addresses and routes is `kernel.rtnetlink`'s; this module knows no family. A socket lives in the network namespace its
creating thread was in, and is not for two threads at once. Source: netlink(7), linux/netlink.h.
"""

from __future__ import annotations

import os
import socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypeAlias

HEADER = struct.Struct("=IHHII")
_ERRNO = struct.Struct("=i")
_ATTRIBUTE = struct.Struct("=HH")

ROUTE = 0
_SOL_NETLINK = 270
_CAP_ACK = 10
_EXT_ACK = 11
_GET_STRICT_CHECK = 12

REQUEST = 0x1
_MULTI = 0x2
ACK = 0x4
DUMP = 0x300
CREATE = 0x400
EXCLUSIVE = 0x200
REPLACE = 0x100
NESTED = 0x8000

_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_FLAG_CAPPED = 0x100
_FLAG_ACK_TLVS = 0x200
_ATTRIBUTE_TYPE_MASK = 0x3FFF
_RECEIVE_BYTES = 1 << 17

# (message type, flags, payload)
Request: TypeAlias = tuple[int, int, bytes]
Attributes: TypeAlias = dict[int, bytes]


class NetlinkError(OSError):
    """A request that the kernel refused: its errno, the kernel's own words, and the place in the batch."""

    def __init__(self, errno: int, explanation: str, index: int) -> None:
        text = os.strerror(errno)
        super().__init__(errno, f"{text} ({explanation})" if explanation else text)
        self.index = index


def attribute(kind: int, value: bytes) -> bytes:
    """Packs one attribute, padded to four bytes."""
    length = 4 + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def text_attribute(kind: int, value: str) -> bytes:
    return attribute(kind, value.encode() + b"\0")


def u32_attribute(kind: int, value: int) -> bytes:
    return attribute(kind, value.to_bytes(4, "little" if _LITTLE else "big"))


def nested(kind: int, *attributes: bytes) -> bytes:
    return attribute(kind | NESTED, b"".join(attributes))


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def parse_attributes(data: bytes, offset: int = 0) -> Attributes:
    """Reads a run of attributes; of a repeated one the last counts. Stops at a malformed length."""
    found: Attributes = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4 or offset + length > end:
            break
        found[kind & _ATTRIBUTE_TYPE_MASK] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def iter_messages(data: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Splits a datagram into (type, flags, sequence, payload)."""
    offset = 0
    while offset + HEADER.size <= len(data):
        length, kind, flags, sequence, _port = HEADER.unpack_from(data, offset)
        if length < HEADER.size or offset + length > len(data):
            break
        yield kind, flags, sequence, data[offset + HEADER.size : offset + length]
        offset += (length + 3) & ~3


def _refusal(payload: bytes, flags: int, index: int) -> NetlinkError | None:
    errno = -_ERRNO.unpack_from(payload)[0]
    if errno == 0:
        return None
    explanation = ""
    if flags & _FLAG_ACK_TLVS:
        echoed_length = HEADER.unpack_from(payload, 4)[0]
        start = 4 + (HEADER.size if flags & _FLAG_CAPPED else (echoed_length + 3) & ~3)
        explanation = parse_attributes(payload, start).get(1, b"").rstrip(b"\0").decode(errors="replace")
    return NetlinkError(errno, explanation, index)


class Socket:
    """One netlink socket in the namespace of the calling thread; close it, or use it as a context manager."""

    __slots__ = ("_sequence", "_socket")

    def __init__(self, *, protocol: int = ROUTE, groups: int = 0) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
        try:
            for option in (_CAP_ACK, _EXT_ACK, _GET_STRICT_CHECK):
                self._socket.setsockopt(_SOL_NETLINK, option, 1)
            self._socket.bind((0, groups))
        except OSError:
            self._socket.close()
            raise
        self._sequence = 0

    def __enter__(self) -> Socket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._socket.close()

    def fileno(self) -> int:
        return self._socket.fileno()

    def _pack(self, request: Request, flags: int) -> bytes:
        kind, own_flags, payload = request
        self._sequence = (self._sequence + 1) & 0xFFFFFFFF
        length = HEADER.size + len(payload)
        header = HEADER.pack(length, kind, own_flags | flags | REQUEST, self._sequence, 0)
        return header + payload + b"\0" * (-length % 4)

    def execute(self, *requests: Request, around: tuple[Request, Request] | None = None) -> None:
        """Sends all requests as one batch and waits for every answer; raises the first refusal as NetlinkError.

        `around`: the messages that open and close a transaction of nfnetlink; a refusal ends such a batch.
        """
        first = self._sequence + 1 + (around is not None)
        opening = [self._pack(around[0], 0)] if around else []
        packed = [self._pack(request, ACK) for request in requests]
        last = self._sequence
        closing = [self._pack(around[1], 0)] if around else []
        self._socket.send(b"".join(opening + packed + closing))
        refusal: NetlinkError | None = None
        answered = first - 1
        while answered < last:
            for kind, flags, sequence, payload in iter_messages(self._socket.recv(_RECEIVE_BYTES)):
                if kind != _NLMSG_ERROR or not first - len(opening) <= sequence <= last + len(closing):
                    continue
                refusal = refusal or _refusal(payload, flags, sequence - first)
                answered = last if sequence < first else sequence
        if refusal is not None:
            raise refusal

    def ask(self, request: Request) -> bytes:
        """Sends one question and returns the payload of its one answer; raises NetlinkError."""
        self._socket.send(self._pack(request, 0))
        while True:
            for kind, flags, sequence, payload in iter_messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if kind != _NLMSG_ERROR:
                    return payload
                refusal = _refusal(payload, flags, 0)
                if refusal is not None:
                    raise refusal

    def dump(self, request: Request) -> list[bytes]:
        """Returns the payloads of every object that the request's filter matches; raises NetlinkError."""
        self._socket.send(self._pack(request, DUMP))
        found: list[bytes] = []
        while True:
            for kind, flags, sequence, payload in iter_messages(self._socket.recv(_RECEIVE_BYTES)):
                if sequence != self._sequence:
                    continue
                if kind in (_NLMSG_DONE, _NLMSG_ERROR):
                    refusal = _refusal(payload, flags, 0)
                    if refusal is not None:
                        raise refusal
                    return found
                found.append(payload)

    def wait_events(self) -> list[tuple[int, bytes]]:
        """Blocks for the next notification; (type, payload) of each message in it. OSError ENOBUFS: some were lost."""
        data = self._socket.recv(_RECEIVE_BYTES)
        return [(kind, payload) for kind, _flags, _sequence, payload in iter_messages(data)]

    def take_events(self) -> list[tuple[int, bytes]]:
        """As `wait_events`, but BlockingIOError when there is none."""
        data = self._socket.recv(_RECEIVE_BYTES, socket.MSG_DONTWAIT)
        return [(kind, payload) for kind, _flags, _sequence, payload in iter_messages(data)]
