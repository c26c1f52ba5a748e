# SPDX-License-Identifier: Apache-2.0
"""Which host port a published port gets, and the socket that keeps others from taking it.

A reservation is a bound socket: the firewall forwards the traffic before a socket would see it, the socket makes a
second `bind`, ours or a foreign program's, fail while the port is ours. It listens only where the relay serves it. When
the daemon dies the socket closes and the forwarding lives on; `adopt` takes the port again after a restart. Called by
the controller.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence

from holdfast import errors
from holdfast.networks.values import BoundPort, PortBinding

_SOCKET_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM, "sctp": socket.SOCK_STREAM}
_EPHEMERAL_FILE = "/proc/sys/net/ipv4/ip_local_port_range"
_EPHEMERAL_FALLBACK = range(49153, 65536)
_ANY = ("0.0.0.0", "::")

Bind = Callable[[str, str, int], socket.socket]
# (protocol, port) -> address -> the socket that holds it; None when a foreign program has it since a restart
_Held = dict[tuple[str, int], dict[str, socket.socket | None]]


def bind_socket(protocol: str, host_ip: str, port: int) -> socket.socket:
    """Binds without listening. OSError EADDRINUSE when a listener, or another reservation, has the port."""
    held = _new_socket(protocol, host_ip)
    try:
        held.bind((host_ip, port))
    except OSError as error:
        held.close()
        if error.errno != errno.EADDRINUSE or protocol != "tcp":
            raise
        return _bind_beside_closing_connections(protocol, host_ip, port)
    return held


def _bind_beside_closing_connections(protocol: str, host_ip: str, port: int) -> socket.socket:
    """SO_REUSEADDR gets past connections in TIME_WAIT, and still fails for a listener."""
    held = _new_socket(protocol, host_ip)
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind((host_ip, port))
    except OSError:
        held.close()
        raise
    return held


def _new_socket(protocol: str, host_ip: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host_ip else socket.AF_INET
    number = socket.IPPROTO_SCTP if protocol == "sctp" else 0
    made = socket.socket(family, _SOCKET_TYPES[protocol] | socket.SOCK_CLOEXEC, number)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return made


def read_ephemeral_range(path: str = _EPHEMERAL_FILE) -> range:
    """The kernel's range for ports that nobody chose."""
    try:
        with open(path, encoding="ascii") as file:
            first, last = file.read().split()
    except OSError:
        return _EPHEMERAL_FALLBACK
    return range(int(first), int(last) + 1)


class PortAllocator:
    """All ports published by one daemon. Not for two threads at once."""

    __slots__ = ("_bind", "_ephemeral", "_held", "_next")

    def __init__(self, *, ephemeral: range, bind: Bind = bind_socket) -> None:
        self._ephemeral = ephemeral
        self._next = ephemeral.start
        self._bind = bind
        self._held: _Held = {}

    def reserve(
        self, binding: PortBinding, *, host_ips: Sequence[str], container_ip: str, endpoint: str
    ) -> tuple[BoundPort, ...]:
        """Takes the same port on every address, or none; `endpoint` (`NAME (ID)`) is for the message.

        Raises Exhausted in Docker's words when a port is taken, InvalidArgument for an impossible wish.
        """
        if binding.protocol not in _SOCKET_TYPES:
            raise errors.InvalidArgument(f"invalid transport protocol: {binding.protocol}")
        if not host_ips:
            return ()
        refusal = "all ports are allocated"
        for port in self._candidates(binding):
            wanted = [_bound(binding, host_ip, port) for host_ip in host_ips]
            taken = self._take(wanted, container_ip)
            if taken is None:
                return tuple(wanted)
            refusal, is_final = taken
            if is_final:
                break
        raise errors.Exhausted(f"driver failed programming external connectivity on endpoint {endpoint}: {refusal}")

    def adopt(self, bound: Iterable[BoundPort], recovered: dict[str, socket.socket] | None = None) -> list[BoundPort]:
        """Takes ports again that a record names; returns those whose socket a foreign program holds now.

        `recovered`: sockets, by `BoundPort.key`, that outlived the last daemon; those that are needed are taken out.
        """
        lost: list[BoundPort] = []
        for port in bound:
            if not port.host_port:
                continue
            held = recovered.pop(port.key, None) if recovered else None
            try:
                held = held or self._bind(port.protocol, port.host_ip, port.host_port)
            except OSError:
                lost.append(port)
            self._keep(port, held)
        return lost

    def holder(self, port: BoundPort) -> socket.socket | None:
        """The socket that reserves a port; None where a foreign program has it."""
        return self._held.get((port.protocol, port.host_port), {}).get(port.host_ip)

    def release(self, bound: Iterable[BoundPort]) -> None:
        """Gives ports back; idempotent."""
        for port in bound:
            holders = self._held.get((port.protocol, port.host_port), {})
            held = holders.pop(port.host_ip, None)
            if not holders:
                self._held.pop((port.protocol, port.host_port), None)
            if held is not None:
                held.close()

    def close(self) -> None:
        for holders in self._held.values():
            for held in holders.values():
                if held is not None:
                    held.close()
        self._held.clear()

    def _keep(self, port: BoundPort, held: socket.socket | None) -> None:
        self._held.setdefault((port.protocol, port.host_port), {})[port.host_ip] = held

    def _take(self, wanted: Sequence[BoundPort], container_ip: str) -> tuple[str, bool] | None:
        """Binds all, or none and says why not, and whether another port would fare no better."""
        done: list[BoundPort] = []
        for bound in wanted:
            host = f"[{bound.host_ip}]" if ":" in bound.host_ip else bound.host_ip
            if self._is_ours(bound):
                self.release(done)
                return f"Bind for {bound.host_ip}:{bound.host_port} failed: port is already allocated", False
            try:
                held = self._bind(bound.protocol, bound.host_ip, bound.host_port)
            except OSError as error:
                self.release(done)
                target = f"{container_ip}:{bound.container_port}/{bound.protocol}"
                reason = os.strerror(error.errno or 0).lower()
                text = f"failed to bind host port for {host}:{bound.host_port}:{target}: {reason}"
                return text, error.errno != errno.EADDRINUSE
            self._keep(bound, held)
            done.append(bound)
        return None

    def _candidates(self, binding: PortBinding) -> Iterator[int]:
        if binding.host_port_start:
            yield from range(binding.host_port_start, max(binding.host_port_end, binding.host_port_start) + 1)
            return
        for _ in self._ephemeral:
            port = self._next
            self._next = port + 1 if port + 1 in self._ephemeral else self._ephemeral.start
            yield port

    def _is_ours(self, bound: BoundPort) -> bool:
        holders = self._held.get((bound.protocol, bound.host_port), {})
        same = [host for host in holders if (":" in host) is (":" in bound.host_ip)]
        return any(host in (bound.host_ip, *_ANY) for host in same) or (bound.host_ip in _ANY and bool(same))


def _bound(binding: PortBinding, host_ip: str, port: int) -> BoundPort:
    return BoundPort(container_port=binding.container_port, protocol=binding.protocol, host_ip=host_ip, host_port=port)
