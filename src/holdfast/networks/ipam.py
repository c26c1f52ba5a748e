# SPDX-License-Identifier: Apache-2.0
"""Addresses: which subnet a network gets and which address an endpoint. Pure: knows no host, keeps nothing on disk.

The controller passes the host's routes in and replays what its journal holds. Addresses are given lowest first, as
Docker does; a released one is given again. All figures are IPv4.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from holdfast import errors

Subnet = ipaddress.IPv4Network


def parse_subnet(text: str) -> Subnet:
    """Reads `10.1.0.0/16`; raises InvalidArgument for host bits or anything else."""
    try:
        return ipaddress.IPv4Network(text)
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid subnet {text}: {error}") from error


def parse_address(text: str) -> int:
    try:
        return int(ipaddress.IPv4Address(text))
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid IP address: {text}") from error


def format_address(value: int) -> str:
    return str(ipaddress.IPv4Address(value))


def iter_default_subnets(pools: Iterable[tuple[str, int]]) -> Iterator[Subnet]:
    """The pools cut into networks, in order."""
    for base, prefix_length in pools:
        yield from parse_subnet(base).subnets(new_prefix=prefix_length)


def choose_subnet(pools: Iterable[tuple[str, int]], taken: Sequence[Subnet]) -> Subnet:
    """The first network of the pools that overlaps nothing that is taken; Exhausted when there is none."""
    for subnet in iter_default_subnets(pools):
        if not any(subnet.overlaps(other) for other in taken):
            return subnet
    raise errors.Exhausted("all predefined address pools have been fully subnetted")


class AddressPool:
    """The addresses of one subnet. The network's own, its broadcast and the gateway are never given."""

    __slots__ = ("_first", "_hint", "_last", "_used", "gateway", "subnet")

    def __init__(self, subnet: Subnet, *, gateway: str = "", ip_range: str = "", reserved: Iterable[str] = ()) -> None:
        self.subnet = subnet
        network, broadcast = int(subnet.network_address), int(subnet.broadcast_address)
        span = parse_subnet(ip_range) if ip_range else subnet
        if not span.subnet_of(subnet):
            raise errors.InvalidArgument(f"invalid ip-range {ip_range}: it is not inside subnet {subnet}")
        self._first = max(int(span.network_address), network + 1)
        self._last = min(int(span.broadcast_address), broadcast - 1)
        self._used: set[int] = set()
        self._hint = self._first
        self.gateway = gateway or format_address(self._first)
        self.allocate(self.gateway)
        for address in reserved:
            self.allocate(address)

    def allocate(self, address: str = "") -> str:
        """Gives this address, or the lowest free one. Conflict: taken; InvalidArgument: outside; Exhausted: none."""
        value = self._check(address) if address else self._lowest_free()
        self._used.add(value)
        return format_address(value)

    def release(self, address: str) -> None:
        """Takes an address back; idempotent. The gateway stays taken."""
        if address == self.gateway:
            return
        value = parse_address(address)
        self._used.discard(value)
        if self._first <= value < self._hint:
            self._hint = value

    def is_used(self, address: str) -> bool:
        return parse_address(address) in self._used

    def _check(self, address: str) -> int:
        value = parse_address(address)
        if not int(self.subnet.network_address) < value < int(self.subnet.broadcast_address):
            raise errors.InvalidArgument(f"no configured subnet contains IP address {address}")
        if value in self._used:
            raise errors.Conflict("Address already in use")
        return value

    def _lowest_free(self) -> int:
        value = self._hint
        while value in self._used:
            value += 1
        if value > self._last:
            raise errors.Exhausted(f"no available IPv4 addresses on this network's address pools: {self.subnet}")
        self._hint = value
        return value


def mac_of(address: str) -> str:
    """The MAC of an address, 02:42 and its four bytes: who gets the address again keeps its neighbours' ARP entries."""
    return "02:42:" + parse_address(address).to_bytes(4, "big").hex(":")
