# SPDX-License-Identifier: Apache-2.0
"""Which subnets the default bridge has.

IPv4: `--bip`, `--fixed-cidr` where that lies outside of what follows, what its interface has, what it had before, the first
free pool; a bridge that somebody else made keeps its addresses.
IPv6, with `--ipv6` only: `--bip6`, `--fixed-cidr-v6`, what it had before, the first free pool (this host's own ULA range
unless others are given).
Called by `host`. Source: moby 28 `daemon/daemon_unix.go`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

from holdfast import errors
from holdfast.kernel import netlink
from holdfast.networks import creation, host_subnets, ipam
from holdfast.networks.network import DEFAULT_GATEWAYS, Network, Pool, PoolWish
from holdfast.networks.values import NetworkConfig


def choose_pools(
    links: netlink.Socket, config: NetworkConfig, stored: Network, others: Sequence[str]
) -> tuple[Pool, ...]:
    """`others` are our other networks' subnets. InvalidArgument: options that contradict each other, no pool left."""
    found = [_ipv4(links, config, stored.ipv4, others)]
    if config.ipv6:
        found.append(_ipv6(links, config, stored.ipv6, others))
    for pool in found:
        creation.fill_pool(pool)
    return tuple(found)


def wishes(config: NetworkConfig, pools: Sequence[Pool]) -> tuple[PoolWish, ...]:
    """Those of the chosen pools that somebody asked for, as `network inspect` shows them."""
    found: list[PoolWish] = []
    for pool in pools:
        address, fixed = (config.bip6, config.fixed_cidr6) if pool.is_ipv6 else (config.bip, config.fixed_cidr)
        if address or fixed:
            gateway = "" if pool.ip_range == pool.subnet and not address else pool.gateway
            found.append(
                PoolWish(subnet=pool.subnet, ip_range=pool.ip_range, gateway=gateway, auxiliary=pool.auxiliary)
            )
    return tuple(found)


def _ipv4(links: netlink.Socket, config: NetworkConfig, stored: Pool | None, others: Sequence[str]) -> Pool:
    given = config.bip or next(iter(host_subnets.addresses_of(links, config.bridge)), "")
    subnet, gateway = _split(given) if given else _choose(links, config, stored, others, ipv6=False)
    is_ours = not config.bip and config.bridge == NetworkConfig().bridge
    if config.fixed_cidr and is_ours:
        wanted = ipaddress.ip_network(config.fixed_cidr, strict=False)
        if not ipam.overlaps(wanted, ipam.parse_subnet(subnet)):
            subnet, gateway = str(wanted), str(wanted[1])
    return _pool(subnet, gateway, config.fixed_cidr, config.default_gateway)


def _ipv6(links: netlink.Socket, config: NetworkConfig, stored: Pool | None, others: Sequence[str]) -> Pool:
    ip_range = str(ipaddress.ip_network(config.fixed_cidr6, strict=False)) if config.fixed_cidr6 else ""
    if config.bip6:
        subnet, gateway = _split(config.bip6)
    elif ip_range:
        subnet, gateway = ip_range, str(ipaddress.ip_network(ip_range)[1])
    else:
        subnet, gateway = _choose(links, config, stored, others, ipv6=True)
    return _pool(subnet, gateway, ip_range, config.default_gateway6)


def _choose(
    links: netlink.Socket, config: NetworkConfig, stored: Pool | None, others: Sequence[str], *, ipv6: bool
) -> tuple[str, str]:
    """Subnet and gateway. What the bridge itself still has from the last start is no reason to move."""
    own = {str(_split(each)[0]) for each in host_subnets.addresses_of(links, config.bridge, ipv6=ipv6)}
    taken = [ipam.parse_subnet(other) for other in (*(set(host_subnets.read(links)) - own), *others)]
    if stored is not None and not any(ipam.overlaps(ipam.parse_subnet(stored.subnet), other) for other in taken):
        return stored.subnet, stored.gateway
    subnet = ipam.choose_subnet(config.pools, taken, ipv6=ipv6)
    return str(subnet), str(subnet[1])


def _pool(subnet: str, gateway: str, ip_range: str, way_out: str) -> Pool:
    auxiliary = {DEFAULT_GATEWAYS[":" in subnet]: way_out} if way_out else {}
    for name, address in auxiliary.items():
        if ipaddress.ip_address(address) not in ipaddress.ip_network(subnet):
            raise errors.InvalidArgument(
                f"auxiliary address: ({name}:{address}) must belong to the master pool: {subnet}"
            )
    return Pool(subnet=subnet, gateway=gateway, ip_range=ip_range, auxiliary=auxiliary)


def _split(address: str) -> tuple[str, str]:
    try:
        interface = ipaddress.ip_interface(address)
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid bip {address}: {error}") from error
    return str(interface.network), str(interface.ip)
