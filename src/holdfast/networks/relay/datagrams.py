# SPDX-License-Identifier: Apache-2.0
"""UDP of the relay: each client of a port gets a socket of its own towards the container, until both are silent.

Answers leave from the address that the client asked. As many clients as a port may have at once are limited: who comes
then takes the place of the one that was silent longest. Source: ipv6(7), ip(7), udp(7).
"""

from __future__ import annotations

import socket
import time
from struct import Struct

from holdfast.kernel.loop import READ, Loop
from holdfast.networks.relay.streams import open_towards

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.relay.streams import Target

    Address = tuple[str, int] | tuple[str, int, int, int]
    Key = tuple[Address, bytes]
    """A client, and which of our addresses it asked."""

_TURN = 32
_LONGEST = 65535
_IDLE_SECONDS = 90.0
_SWEEP_SECONDS = 15.0
_MOST_CLIENTS = 1024
_IP_PKTINFO = 8
_INFO4 = Struct("=i4s4s")
_INFO6 = Struct("=16si")
_LINK_LOCAL = b"\xfe\x80"
_MULTICAST = 0xFF


class DatagramPort:
    """One published UDP port; `target` may change, for clients to come."""

    __slots__ = ("_clients", "_is_sweeping", "_loop", "_sock", "target")

    def __init__(self, loop: Loop, sock: socket.socket, target: Target) -> None:
        self._loop = loop
        self._sock = sock
        self.target = target
        self._clients: dict[Key, Client] = {}
        self._is_sweeping = False
        sock.setblocking(False)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        loop.add(sock.fileno(), READ, self._receive)

    def fileno(self) -> int:
        return self._sock.fileno()

    def close(self) -> None:
        for client in self._clients.values():
            client.close()
        self._clients.clear()
        self._loop.remove(self._sock.fileno())
        self._sock.close()

    def answer(self, key: Key, data: bytes) -> None:
        """Passes a container's datagram on to its client."""
        address, local = key
        try:
            self._sock.sendmsg([data], [_from(self._sock.family, local)] if local else [], 0, address)
        except OSError:  # a client that is gone, or a full buffer: datagrams may be lost
            return

    def _receive(self, _: int) -> None:
        try:
            for _turn in range(_TURN):
                data, ancillary, _flags, address = self._sock.recvmsg(_LONGEST, 64)
                local = ancillary[0][2] if ancillary else b""
                self._pass_on((address, local), data)
        except OSError:  # nothing more to read, or news of a client that is gone
            return

    def _pass_on(self, key: Key, data: bytes) -> None:
        client = self._clients.pop(key, None)
        try:
            if client is None or client.target != self.target:
                client = self._replace(client, key)
            client.send(data)
        except OSError:  # no way to the container: as if nobody were there
            if client is not None:
                client.close()
            return
        self._clients[key] = client  # at the end: the first is the one that was silent longest

    def _replace(self, former: Client | None, key: Key) -> Client:
        if former is not None:
            former.close()
        elif len(self._clients) >= _MOST_CLIENTS:
            self._clients.pop(next(iter(self._clients))).close()
        if not self._is_sweeping:
            self._is_sweeping = True
            self._loop.call_later(_SWEEP_SECONDS, self._sweep)
        return Client(self._loop, self, key, self.target)

    def _sweep(self) -> None:
        now = time.monotonic()
        for key, client in list(self._clients.items()):
            if now - client.heard > _IDLE_SECONDS:
                self._clients.pop(key).close()
        self._is_sweeping = bool(self._clients)
        if self._is_sweeping:
            self._loop.call_later(_SWEEP_SECONDS, self._sweep)


class Client:
    """Who has asked, and the socket by which its container answers."""

    __slots__ = ("_key", "_loop", "_port", "_sock", "heard", "target")

    def __init__(self, loop: Loop, port: DatagramPort, key: Key, target: Target) -> None:
        self._loop = loop
        self._port = port
        self._key = key
        self._sock = open_towards(target, socket.SOCK_DGRAM)
        self.target = target
        self.heard = time.monotonic()
        loop.add(self._sock.fileno(), READ, self._receive)

    def send(self, data: bytes) -> None:
        """To the container; what it has no room for is lost."""
        self.heard = time.monotonic()
        for _attempt in range(2):  # the first may only tell that the one before was refused
            try:
                self._sock.send(data)
            except ConnectionRefusedError:
                continue
            except BlockingIOError:
                return
            return

    def close(self) -> None:
        self._loop.remove(self._sock.fileno())
        self._sock.close()

    def _receive(self, _: int) -> None:
        try:
            for _turn in range(_TURN):
                self._port.answer(self._key, self._sock.recv(_LONGEST))
                self.heard = time.monotonic()
        except OSError:  # nothing more to read, or nobody listens there
            return


def _from(family: int, local: bytes) -> tuple[int, int, bytes]:
    """The ancillary data that makes an answer leave from the address that was asked, by any interface."""
    if family == socket.AF_INET6:
        address, index = _INFO6.unpack(local)
        if address[0] == _MULTICAST:
            address = bytes(16)
        info = _INFO6.pack(address, index if address[:2] == _LINK_LOCAL else 0)
        return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info
    _index, source, _address = _INFO4.unpack(local)
    return socket.IPPROTO_IP, _IP_PKTINFO, _INFO4.pack(0, source, bytes(4))
