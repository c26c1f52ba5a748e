# SPDX-License-Identifier: Apache-2.0
"""Which subnets the default bridge has.

IPv4: `--bip`, what its interface has, `--fixed-cidr`, what it had before, the first free pool. IPv6, with `--ipv6` only:
`--bip6` and so on; the first free pool is of this host's own ULA range unless others are given. `--fixed-cidr` elsewhere
moves our own bridge, and makes its subnet larger; a bridge that somebody else made keeps its addresses.
Called by `host`. Source: moby 28 `daemon/daemon_unix.go`.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Sequence

from holdfast import errors
from holdfast.kernel import netlink
from holdfast.networks import creation, host_subnets, ipam
from holdfast.networks.network import DEFAULT_GATEWAYS, Network, Pool, PoolWish
from holdfast.networks.values import NetworkConfig

_LOG = logging.getLogger("holdfast.networks")
_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")

_Address = ipaddress.IPv4Interface | ipaddress.IPv6Interface


def choose(
    links: netlink.Socket, config: NetworkConfig, stored: Network, others: Sequence[str]
) -> tuple[tuple[Pool, ...], tuple[PoolWish, ...]]:
    """The pools, and those of them that somebody asked for, as `network inspect` shows them.

    `others` are our other networks' subnets. InvalidArgument: options that contradict each other, no pool left.
    """
    pools: list[Pool] = []
    wishes: list[PoolWish] = []
    for ipv6 in (False, True) if config.ipv6 else (False,):
        before = stored.ipv6 if ipv6 else stored.ipv4
        address, ip_range = _asked(links, config, ipv6=ipv6)
        pool = _pool(links, config, address, ip_range, before, others, ipv6=ipv6)
        creation.fill_pool(pool)
        pools.append(pool)
        is_asked = bool(config.bip6 if ipv6 else config.bip) or (
            address is not None and not _is_by_us(config, address, before)
        )
        if is_asked or ip_range:
            gateway = pool.gateway if is_asked else ""
            wishes.append(
                PoolWish(subnet=pool.subnet, ip_range=pool.ip_range, gateway=gateway, auxiliary=pool.auxiliary)
            )
    return tuple(pools), tuple(wishes)


def _is_by_us(config: NetworkConfig, address: _Address, before: Pool | None) -> bool:
    """Whether our own bridge still has what an earlier start chose for it: nobody has asked for that."""
    is_own = config.bridge == NetworkConfig().bridge
    return is_own and before is not None and (str(address.ip), str(address.network)) == (before.gateway, before.subnet)


def _asked(links: netlink.Socket, config: NetworkConfig, *, ipv6: bool) -> tuple[_Address | None, ipam.Subnet | None]:
    """The bridge's address and its subnet, and the range for containers, as far as options or the bridge say."""
    bip, fixed = (config.bip6, config.fixed_cidr6) if ipv6 else (config.bip, config.fixed_cidr)
    wanted = ipaddress.ip_interface(fixed) if fixed else None
    ip_range = wanted.network if wanted else None
    if bip:
        return _parse(bip), ip_range
    address = _of_bridge(links, config.bridge, wanted, ipv6=ipv6)
    if address is None or wanted is None or ip_range is None:
        return address, ip_range
    is_inside = wanted.ip in address.network
    is_larger = ip_range.prefixlen < address.network.prefixlen
    if config.bridge == NetworkConfig().bridge:
        if not is_inside:
            return None, ip_range
        return (ipaddress.ip_interface(f"{address.ip}/{ip_range.prefixlen}") if is_larger else address), ip_range
    if is_inside and not is_larger:
        return address, ip_range
    option = "fixed-cidr-v6" if ipv6 else "fixed-cidr"
    text = f"{option}={fixed} is outside any subnet implied by addresses on the user-managed default bridge"
    if ipv6:
        raise errors.InvalidArgument(text)
    _LOG.warning("%s: containers get addresses of the whole of %s", text, address.network)
    return address, None


def _of_bridge(links: netlink.Socket, bridge: str, wanted: _Address | None, *, ipv6: bool) -> _Address | None:
    """What the bridge has: the address whose subnet has the range, else one within the range, else the first.

    The kernel's own link-local one counts only for a range of such addresses.
    """
    found = [ipaddress.ip_interface(each) for each in host_subnets.addresses_of(links, bridge, ipv6=ipv6)]
    if wanted is None or wanted.ip not in _LINK_LOCAL:
        found = [each for each in found if each.ip not in _LINK_LOCAL]
    if wanted is not None:
        found.sort(key=lambda each: (wanted.ip not in each.network, each.ip not in wanted.network))
    return next(iter(found), None)


def _pool(
    links: netlink.Socket,
    config: NetworkConfig,
    address: _Address | None,
    ip_range: ipam.Subnet | None,
    stored: Pool | None,
    others: Sequence[str],
    *,
    ipv6: bool,
) -> Pool:
    if address is not None:
        subnet, gateway = str(address.network), str(address.ip)
    elif ip_range is not None:
        subnet, gateway = str(ip_range), str(ip_range[1])
    else:
        subnet, gateway = _choose(links, config, stored, others, ipv6=ipv6)
    way_out = config.default_gateway6 if ipv6 else config.default_gateway
    auxiliary = {DEFAULT_GATEWAYS[ipv6]: way_out} if way_out else {}
    for name, other in auxiliary.items():
        if ipaddress.ip_address(other) not in ipaddress.ip_network(subnet):
            raise errors.InvalidArgument(
                f"auxiliary address: ({name}:{other}) must belong to the master pool: {subnet}"
            )
    return Pool(subnet=subnet, gateway=gateway, ip_range=str(ip_range or ""), auxiliary=auxiliary)


def _choose(
    links: netlink.Socket, config: NetworkConfig, stored: Pool | None, others: Sequence[str], *, ipv6: bool
) -> tuple[str, str]:
    """Subnet and gateway. What the bridge itself still has from the last start is no reason to move."""
    own = {
        str(ipaddress.ip_interface(each).network) for each in host_subnets.addresses_of(links, config.bridge, ipv6=ipv6)
    }
    taken = [ipam.parse_subnet(other) for other in (*(set(host_subnets.read(links)) - own), *others)]
    if stored is not None and not any(ipam.overlaps(ipam.parse_subnet(stored.subnet), other) for other in taken):
        return stored.subnet, stored.gateway
    subnet = ipam.choose_subnet(config.pools, taken, ipv6=ipv6)
    return str(subnet), str(subnet[1])


def _parse(bip: str) -> _Address:
    try:
        return ipaddress.ip_interface(bip)
    except ValueError as error:
        raise errors.InvalidArgument(f"invalid bip {bip}: {error}") from error
