# SPDX-License-Identifier: Apache-2.0
"""Which of a container's networks its default routes lead through, and its published ports to. Pure.

Source: libnetwork `Endpoint.Less`, `selectGatewayEndpoint` (moby 28).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from holdfast.networks.values import Endpoint


class Gateways(NamedTuple):
    """The endpoint for IPv4 and the one for IPv6; None where no network leads out."""

    ipv4: Endpoint | None
    ipv6: Endpoint | None


def rank(endpoints: Iterable[Endpoint]) -> list[Endpoint]:
    """The best first: by priority, then not internal, then with more families, then by the network's name."""
    return sorted(endpoints, key=_order)


def choose(endpoints: Sequence[Endpoint]) -> Gateways:
    """The first one that routes both families, else the first one for each."""
    ipv4: Endpoint | None = None
    ipv6: Endpoint | None = None
    for endpoint in endpoints if len(endpoints) < 2 else rank(endpoints):
        has_ipv4, has_ipv6 = endpoint.routes(ipv6=False), endpoint.routes(ipv6=True)
        if has_ipv4 and has_ipv6:
            return Gateways(endpoint, endpoint)
        ipv4 = ipv4 or (endpoint if has_ipv4 else None)
        ipv6 = ipv6 or (endpoint if has_ipv6 else None)
    return Gateways(ipv4, ipv6)


def _order(endpoint: Endpoint) -> tuple[int, bool, int, str]:
    families = endpoint.routes(ipv6=False) + endpoint.routes(ipv6=True)
    return -endpoint.gateway_priority, endpoint.is_internal, -families, endpoint.network_name
