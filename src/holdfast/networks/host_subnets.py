# SPDX-License-Identifier: Apache-2.0
"""What the host reaches already: its routes, its addresses, its name servers. A default subnet keeps away from it.

Called by the controller and by `default_bridge`. Cost: four dumps, some 0.2 ms on a host with few routes.
"""

from __future__ import annotations

import ipaddress
import socket

from holdfast.kernel import netlink, rtnetlink
from holdfast.networks import resolv


def read(links: netlink.Socket) -> list[str]:
    """Subnets of both families, none of them the whole world."""
    found: set[str] = set()
    for family, bits in ((socket.AF_INET, 32), (socket.AF_INET6, 128)):
        for payload in links.dump(rtnetlink.get_routes(family)):
            route = rtnetlink.parse_route(payload)
            if route is not None and route.destination and route.prefix_length:
                found.add(f"{route.destination}/{route.prefix_length}")
        for payload in links.dump(rtnetlink.get_addresses(family)):
            address = rtnetlink.parse_address(payload)
            if address.address and address.prefix_length:
                found.add(str(ipaddress.ip_interface(f"{address.address}/{address.prefix_length}").network))
        found.update([f"{server}/{bits}" for server in _nameservers() if _is_of(server, family)])
    return sorted(found)


def addresses_of(links: netlink.Socket, interface: str, *, ipv6: bool = False) -> list[str]:
    """The addresses and prefix lengths of an interface, by one protocol; none when it is not there."""
    try:
        index = rtnetlink.parse_link(links.ask(rtnetlink.get_link(interface))).ifindex
    except netlink.NetlinkError:
        return []
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    addresses = [rtnetlink.parse_address(payload) for payload in links.dump(rtnetlink.get_addresses(family))]
    return [f"{each.address}/{each.prefix_length}" for each in addresses if each.ifindex == index]


def _nameservers() -> tuple[str, ...]:
    try:
        with open(resolv.HOST_FILE, encoding="utf-8", errors="replace") as file:
            return resolv.parse(file.read()).nameservers
    except OSError:
        return ()


def _is_of(server: str, family: int) -> bool:
    try:
        socket.inet_pton(family, server)
    except OSError:
        return False
    return True
