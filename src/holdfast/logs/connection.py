# SPDX-License-Identifier: Apache-2.0
"""A connection to a collector that is made again when it breaks (in the courier, which may wait).

On a stream whatever was not taken whole is sent again over the next connection, so nothing is torn. While there is no
collector nobody asks for one more often than the back-off allows; what is to be said then is dropped, unless the driver
waits for ever. Errors are worded as Go's `net` words them. Called by the drivers' sinks.
"""

from __future__ import annotations

import os
import select
import socket
import time

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdfast.logs import tls
    from holdfast.logs.delivery import Lease

_DIAL_SECONDS = 10.0
_FIRST_HOLD_SECONDS = 0.1
_LAST_HOLD_SECONDS = 5.0
_BATCH = 64
_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


def dial_inet(network: str, host: str, port: str, context: tls.Context | None = None) -> socket.socket:
    """Connects by `tcp` or `udp`, with TLS when there is a context; raises Unavailable."""
    kind = socket.SOCK_DGRAM if network == "udp" else socket.SOCK_STREAM
    try:
        found = socket.getaddrinfo(host.encode() or b"127.0.0.1", port, 0, kind)
    except OSError as error:
        reason = "no such host" if isinstance(error, socket.gaierror) else str(error.strerror)
        raise errors.Unavailable(f"dial {network}: lookup {host}: {reason}") from None
    failure = errors.Unavailable(f"dial {network}: lookup {host}: no such host")
    for family, _, _, _, address in found:
        sock = socket.socket(family, kind)
        sock.settimeout(_DIAL_SECONDS)
        shown = f"[{address[0]}]:{port}" if family == socket.AF_INET6 else f"{address[0]}:{port}"
        try:
            sock.connect(address)
            return sock if context is None else context.wrap_socket(sock, server_hostname=host)
        except TimeoutError:
            failure = errors.Unavailable(f"dial {network} {shown}: i/o timeout")
        except OSError as error:
            failure = errors.Unavailable(f"dial {network} {shown}: {_step(error)}{_reason(error)}")
        sock.close()
    raise failure


def dial_unix(network: str, path: str) -> socket.socket:
    """Connects to a socket in the file system: `unix` is a stream, `unixgram` takes datagrams; raises Unavailable."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if network == "unixgram" else socket.SOCK_STREAM)
    sock.settimeout(_DIAL_SECONDS)
    try:
        sock.connect(path)
    except OSError as error:
        sock.close()
        raise errors.Unavailable(f"dial {network} {path}: connect: {_reason(error)}") from None
    return sock


def _step(error: OSError) -> str:
    """Go names the system call; a failed handshake has none."""
    return "connect: " if type(error).__module__ != "ssl" else "tls: "


def _reason(error: OSError) -> str:
    return os.strerror(error.errno).lower() if error.errno and type(error).__module__ != "ssl" else str(error)


class Connection:
    """One collector. `waits` says how long to wait before each attempt to reach it again, and when to give up."""

    def __init__(
        self,
        dial: Callable[[], socket.socket],
        lease: Lease,
        *,
        is_stream: bool,
        waits: Callable[[], Iterable[float]],
        write_seconds: float = 0.0,
    ) -> None:
        self._dial = dial
        self._lease = lease
        self._is_stream = is_stream
        self._waits = waits
        self._write_seconds = write_seconds
        self._sock: socket.socket | None = None
        self._hold_seconds = _FIRST_HOLD_SECONDS
        self._held_until = 0.0

    def open(self) -> None:
        """Connects, once; raises Unavailable."""
        self._sock = self._dial()
        self._sock.settimeout(self._lease.slice_seconds)

    def deliver(self, messages: Sequence[bytes], receive: Callable[[socket.socket], bool] | None = None) -> None:
        """Sends messages one after the other; `receive`, when given, looks after them for their receipt.

        A stream breaks at a message's end at worst: one that was not taken whole is sent again.
        """
        position = 0
        while position < len(messages):
            batch = messages[position : position + _BATCH]
            sock = self._sock if self._is_alive() else self._again()
            if sock is None:
                return
            taken = self._send_stream(sock, batch) if self._is_stream else self._send_datagrams(sock, batch)
            if receive is not None and taken == len(batch) and not self._has_receipt(sock, receive):
                continue
            position += taken

    def close(self) -> None:
        """Hangs up; idempotent."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    def _is_alive(self) -> bool:
        """Whether the collector has not hung up: what is written to one that has would be lost."""
        if self._sock is None:
            return False
        if self._is_stream:
            poll = select.poll()
            poll.register(self._sock, select.POLLRDHUP)
            if any(mask & _GONE for _, mask in poll.poll(0)):
                self.close()
                return False
        return True

    def _again(self) -> socket.socket | None:
        if time.monotonic() < self._held_until:
            return None
        for wait in self._waits():
            self._lease.sleep(wait)
            try:
                self.open()
            except errors.Unavailable:
                continue
            self._hold_seconds = _FIRST_HOLD_SECONDS
            return self._sock
        self._held_until = time.monotonic() + self._hold_seconds
        self._hold_seconds = min(self._hold_seconds * 2, _LAST_HOLD_SECONDS)
        return None

    def _send_stream(self, sock: socket.socket, batch: Sequence[bytes]) -> int:
        """Returns how many messages were taken whole; less than all when the connection has broken."""
        view = memoryview(b"".join(batch))
        sent = 0
        began = time.monotonic()
        while sent < len(view):
            try:
                sent += sock.send(view[sent:])
                began = time.monotonic()
            except TimeoutError:
                self._lease.check()
                if not self._write_seconds or time.monotonic() - began < self._write_seconds:
                    continue
                self.close()
                break
            except OSError:
                self.close()
                break
        taken = 0
        for message in batch:
            sent -= len(message)
            if sent < 0:
                break
            taken += 1
        return taken

    def _send_datagrams(self, sock: socket.socket, batch: Sequence[bytes]) -> int:
        """Sends each by itself; what nobody wants, or what is too long, is lost as datagrams are."""
        for message in batch:
            for _ in range(2):  # a refusal belongs to an earlier datagram
                if self._send_datagram(sock, message):
                    break
            if self._sock is None:
                break
        return len(batch)

    def _send_datagram(self, sock: socket.socket, message: bytes) -> bool:
        while True:
            try:
                sock.send(message)
            except TimeoutError:
                self._lease.check()
                continue
            except ConnectionRefusedError:
                if sock.family == socket.AF_UNIX:
                    self.close()
                    return True
                return False
            except OSError as error:
                if sock.family == socket.AF_UNIX and isinstance(error, (ConnectionError, FileNotFoundError)):
                    self.close()
                return True
            return True

    def _has_receipt(self, sock: socket.socket, receive: Callable[[socket.socket], bool]) -> bool:
        try:
            if receive(sock):
                return True
        except OSError:
            pass
        self.close()
        return False
