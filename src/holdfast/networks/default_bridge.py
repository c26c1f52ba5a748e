# SPDX-License-Identifier: Apache-2.0
"""Which subnet the default bridge has: `--bip`, what its interface has, what it had before, the first free pool."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from holdfast import errors
from holdfast.kernel import netlink, rtnetlink
from holdfast.networks import ipam
from holdfast.networks.values import NetworkConfig


def choose_subnet(
    links: netlink.Socket, config: NetworkConfig, stored_subnet: str, stored_gateway: str, others: Sequence[str]
) -> tuple[str, str]:
    """Subnet and gateway; `others` are our other networks' subnets. InvalidArgument: bad bip; Exhausted: no pool."""
    given = config.bip or _interface_address(links, config.bridge)
    if given:
        return _split(given)
    taken = [*_host_subnets(links), *[ipam.parse_subnet(other) for other in others]]
    if stored_subnet and not any(ipam.parse_subnet(stored_subnet).overlaps(other) for other in taken):
        return stored_subnet, stored_gateway
    subnet = ipam.choose_subnet(config.default_pools, taken)
    return str(subnet), str(subnet[1])


def _split(address: str) -> tuple[str, str]:
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid bip {address}: {error}") from error
    return str(interface.network), str(interface.ip)


def _addresses(links: netlink.Socket) -> list[rtnetlink.Address]:
    return [rtnetlink.parse_address(payload) for payload in links.dump(rtnetlink.get_addresses())]


def _interface_address(links: netlink.Socket, name: str) -> str:
    try:
        index = rtnetlink.parse_link(links.ask(rtnetlink.get_link(name))).ifindex
    except netlink.NetlinkError:
        return ""
    return next((f"{a.address}/{a.prefix_length}" for a in _addresses(links) if a.ifindex == index), "")


def _host_subnets(links: netlink.Socket) -> list[ipam.Subnet]:
    """What the host routes, or has addresses in, already."""
    routes = [rtnetlink.parse_route(payload) for payload in links.dump(rtnetlink.get_routes())]
    found = [ipaddress.IPv4Network(f"{r.destination}/{r.prefix_length}") for r in routes if r and r.destination]
    return found + [ipaddress.IPv4Interface(f"{a.address}/{a.prefix_length}").network for a in _addresses(links)]
