# SPDX-License-Identifier: Apache-2.0
"""Addresses: which subnet a network gets and which address an endpoint. Pure: knows no host, keeps nothing on disk.

The controller passes the host's routes in and replays what its journal holds. Addresses are given lowest first, as
Docker does; a released one is given again. IPv4 and IPv6 alike. Source: libnetwork `ipams/defaultipam` (moby 28).
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Iterator, Sequence

from holdfast import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Subnet = ipaddress.IPv4Network | ipaddress.IPv6Network
_ULA = int(ipaddress.IPv6Address("fd00::"))
_ULA_PREFIX, _ULA_SUBNET_PREFIX = 48, 64


def parse_subnet(text: str) -> Subnet:
    """Reads `10.1.0.0/16`; raises InvalidArgument for host bits or anything else."""
    try:
        if "/" not in text:
            raise ValueError("it has no prefix length")
        read_address(text.partition("/")[0])
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid subnet {text}: {error}") from error


def read_address(text: str) -> Address:
    """Raises ValueError, also for a zone (`fe80::1%eth0`): networks have none, and packet rules must not read it."""
    if "%" in text:
        raise ValueError("it names a zone")
    return ipaddress.ip_address(text)


def parse_address(text: str) -> int:
    try:
        return int(read_address(text))
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid IP address: {text}") from error


def overlaps(one: Subnet, other: Subnet) -> bool:
    """Whether two subnets, of whatever families, share an address."""
    if isinstance(one, ipaddress.IPv4Network):
        return isinstance(other, ipaddress.IPv4Network) and one.overlaps(other)
    return isinstance(other, ipaddress.IPv6Network) and one.overlaps(other)


def is_inside(inner: Subnet, outer: Subnet) -> bool:
    if isinstance(inner, ipaddress.IPv4Network):
        return isinstance(outer, ipaddress.IPv4Network) and inner.subnet_of(outer)
    return isinstance(outer, ipaddress.IPv6Network) and inner.subnet_of(outer)


def unique_local_pool(host_id: str) -> tuple[str, int]:
    """This host's own IPv6 range (RFC 4193), the same at every start: fd, 40 bits of the id's hash, /48 cut into /64."""
    digest = int.from_bytes(hashlib.sha256(host_id.encode()).digest()[:8], "big")
    base = ipaddress.IPv6Address(_ULA + ((digest & ((1 << 40) - 1)) << 80))
    return f"{base}/{_ULA_PREFIX}", _ULA_SUBNET_PREFIX


def iter_default_subnets(pools: Iterable[tuple[str, int]], *, ipv6: bool = False) -> Iterator[Subnet]:
    """The pools of one family cut into networks, in order."""
    for base, prefix_length in pools:
        if (":" in base) is ipv6:
            yield from parse_subnet(base).subnets(new_prefix=prefix_length)


def choose_subnet(pools: Iterable[tuple[str, int]], taken: Sequence[Subnet], *, ipv6: bool = False) -> Subnet:
    """The first network of the pools that overlaps nothing that is taken; InvalidArgument when there is none."""
    for subnet in iter_default_subnets(pools, ipv6=ipv6):
        if not any(overlaps(subnet, other) for other in taken):
            return subnet
    raise errors.InvalidArgument("all predefined address pools have been fully subnetted")


class AddressPool:
    """The addresses of one subnet. The network's own, an IPv4 broadcast and the gateway are never given."""

    __slots__ = ("_first", "_hint", "_last", "_reserved", "_used", "is_ipv6", "prefix_length", "subnet")

    def __init__(self, subnet: Subnet, *, ip_range: str = "") -> None:
        self.subnet = subnet
        self.is_ipv6 = subnet.version == 6
        self.prefix_length = subnet.prefixlen
        span = parse_subnet(ip_range) if ip_range else subnet
        if not is_inside(span, subnet):
            raise errors.InvalidArgument(f"invalid ip-range {ip_range}: it is not inside subnet {subnet}")
        self._first, self._last = int(span.network_address), int(span.broadcast_address)
        self._reserved = _unusable(subnet)
        self._used: set[int] = set(self._reserved)
        self._hint = self._first

    def reserve(self, address: str = "") -> str:
        """Takes an address for good: a gateway, or one that its user keeps for something else."""
        taken = self.allocate(address)
        self._reserved.add(parse_address(taken))
        return taken

    def allocate(self, address: str = "") -> str:
        """Gives this address, or the lowest free one. Conflict: taken; InvalidArgument: outside; Exhausted: none."""
        value = self._check(address) if address else self._lowest_free()
        self._used.add(value)
        return self._format(value)

    def release(self, address: str) -> None:
        """Takes an address back; idempotent. What is reserved stays taken."""
        value = parse_address(address)
        if value in self._reserved:
            return
        self._used.discard(value)
        if self._first <= value < self._hint:
            self._hint = value

    def is_used(self, address: str) -> bool:
        return parse_address(address) in self._used

    def contains(self, address: str) -> bool:
        return ipaddress.ip_address(address) in self.subnet

    def _format(self, value: int) -> str:
        return str(ipaddress.IPv6Address(value) if self.is_ipv6 else ipaddress.IPv4Address(value))

    def _check(self, address: str) -> int:
        value = parse_address(address)
        if not self.contains(address):
            raise errors.InvalidArgument(f"no configured subnet contains IP address {address}")
        if value in self._used:
            raise errors.Forbidden("Address already in use")
        return value

    def _lowest_free(self) -> int:
        value = self._hint
        while value in self._used:
            value += 1
        if value > self._last:
            raise errors.Exhausted(f"no available addresses on this pool: {self.subnet}")
        self._hint = value
        return value


def _unusable(subnet: Subnet) -> set[int]:
    """The network's own address and IPv4's broadcast; a link of two (RFC 3021) has neither."""
    if subnet.version == 4 and subnet.prefixlen >= 31:
        return set()
    own = {int(subnet.network_address)}
    return own if subnet.version == 6 else own | {int(subnet.broadcast_address)}


def mac_of(address: str) -> str:
    """The MAC of an address, 02:42 and its last four bytes: who gets it again keeps its neighbours' ARP entries."""
    return "02:42:" + (parse_address(address) & 0xFFFFFFFF).to_bytes(4, "big").hex(":")
