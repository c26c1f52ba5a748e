# SPDX-License-Identifier: Apache-2.0
"""Which subnet the default bridge has: `--bip`, what its interface has, what it had before, the first free pool."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from holdfast import errors
from holdfast.kernel import netlink
from holdfast.networks import host_subnets, ipam
from holdfast.networks.network import Pool
from holdfast.networks.values import NetworkConfig


def choose_subnet(
    links: netlink.Socket, config: NetworkConfig, stored: Pool | None, others: Sequence[str]
) -> tuple[str, str]:
    """Subnet and gateway; `others` are our other networks' subnets. InvalidArgument: bad bip, no pool."""
    given = config.bip or host_subnets.address_of(links, config.bridge)
    if given:
        return _split(given)
    taken = [ipam.parse_subnet(other) for other in (*host_subnets.read(links), *others)]
    if stored is not None and not any(ipam.overlaps(ipam.parse_subnet(stored.subnet), other) for other in taken):
        return stored.subnet, stored.gateway
    subnet = ipam.choose_subnet(config.default_pools, taken)
    return str(subnet), str(subnet[1])


def _split(address: str) -> tuple[str, str]:
    try:
        interface = ipaddress.IPv4Interface(address)
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid bip {address}: {error}") from error
    return str(interface.network), str(interface.ip)
