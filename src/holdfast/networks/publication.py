# SPDX-License-Identifier: Apache-2.0
"""Which addresses of the host a container's published ports are taken on: what its gateways' networks say.

Per family one network decides, the one of the default route. Called by `sandboxes`; `ports` takes the ports themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from holdfast.networks.gateways import Gateways
from holdfast.networks.network import Network
from holdfast.networks.ports import PortAllocator
from holdfast.networks.rules import RELAYED
from holdfast.networks.values import BoundPort, ConnectRequest, Endpoint, PortBinding

_ANY = {False: "0.0.0.0", True: "::"}


class Way(NamedTuple):
    """How one family gets in: to the container's `address`, from `host_ip` where no other was asked for.

    `host_ip` empty: only from addresses that were asked for. `is_routed`: straight, so no port of the host is taken.
    `is_relayed`: the container has no address of this family, and `address` is its other one.
    """

    is_ipv6: bool
    address: str
    host_ip: str
    is_routed: bool
    is_relayed: bool = False


def ways(gateways: Gateways, network_of: Callable[[str], Network], *, relays: bool) -> tuple[Way, ...]:
    """The families in which ports can be published: none for a container that no network leads out of.

    `relays`: IPv6 reaches a container that has only IPv4, too.
    """
    found = [
        _way(endpoint, network_of(endpoint.network_id), ipv6=ipv6)
        for endpoint, ipv6 in ((gateways.ipv4, False), (gateways.ipv6, True))
        if endpoint is not None and endpoint.driver == "bridge"
    ]
    if relays and gateways.ipv6 is None and found and not found[0].is_routed and gateways.ipv4 is not None:
        host_ip = _host_ip(network_of(gateways.ipv4.network_id), ipv6=True)
        found.append(Way(is_ipv6=True, address=found[0].address, host_ip=host_ip, is_routed=False, is_relayed=True))
    return tuple(found)


def _way(endpoint: Endpoint, network: Network, *, ipv6: bool) -> Way:
    return Way(
        is_ipv6=ipv6,
        address=endpoint.ipv6_address if ipv6 else endpoint.ip_address,
        host_ip=_host_ip(network, ipv6=ipv6),
        is_routed=network.gateway_mode(ipv6=ipv6) == "routed",
    )


def _host_ip(network: Network, *, ipv6: bool) -> str:
    wanted = network.host_binding_ip
    if wanted in _ANY.values():
        return _ANY[ipv6]
    return wanted if (":" in wanted) is ipv6 else ""


def is_same_for_host(before: tuple[Way, ...], after: tuple[Way, ...]) -> bool:
    """Whether ports that are taken for the one do for the other: only how they lead to the container differs."""
    same, other = [[way._replace(address="", is_relayed=False) for way in each] for each in (before, after)]
    return same == other


def reserve(
    allocator: PortAllocator, request: ConnectRequest, found: tuple[Way, ...], endpoint_id: str
) -> tuple[BoundPort, ...]:
    """Takes what was asked for, or nothing. Exhausted in Docker's words when a port is taken.

    A port that was named comes before one that may be any, which else might take it.
    """
    bound: list[BoundPort] = []
    try:
        for binding in sorted(request.ports, key=_is_choice):
            chosen = [way for way in found if not binding.host_ip or (":" in binding.host_ip) is way.is_ipv6]
            routed = [_routed(binding, way) for way in chosen if way.is_routed]
            hosts = [
                binding.host_ip or way.host_ip
                for way in chosen
                if not way.is_routed and not (way.is_relayed and binding.protocol not in RELAYED)
            ]
            taken = allocator.reserve(
                binding,
                host_ips=[host for host in hosts if host],
                container_ip=chosen[0].address if chosen else "",
                endpoint=f"{request.name} ({endpoint_id})",
            )
            bound += sorted((*routed, *taken), key=_is_ipv6)
    except BaseException:
        allocator.release(bound)
        raise
    return tuple(bound)


def _is_choice(binding: PortBinding) -> bool:
    """True where no port, or more than one, was named."""
    return not binding.host_port_start or binding.host_port_end > binding.host_port_start


def _routed(binding: PortBinding, way: Way) -> BoundPort:
    """No port of the host, but one that routed traffic may reach."""
    return BoundPort(
        container_port=binding.container_port, protocol=binding.protocol, host_ip=_ANY[way.is_ipv6], host_port=0
    )


def _is_ipv6(port: BoundPort) -> bool:
    return ":" in port.host_ip
