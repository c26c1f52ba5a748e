# SPDX-License-Identifier: Apache-2.0
"""From what somebody asks of a new network to the network: checks, template, subnets, gateways. Pure.

What is known of the host and of other networks comes in; nothing is kept. Called by the controller.
Source: moby 28 `daemon/network.go`, libnetwork `controller.NewNetwork`; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from holdfast import errors
from holdfast.networks import driver_options, ipam, pool_wishes
from holdfast.networks.network import PARENT, PREDEFINED, Network, Pool, PoolWish, new_id

_LINK_LOCAL = ipaddress.IPv6Network("fe80::/64")
_ENABLE_IPV4, _ENABLE_IPV6 = "com.docker.network.enable_ipv4", "com.docker.network.enable_ipv6"
_UNSHARED = ("host", "null")
_NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_TEMPLATE_ONLY = (
    "configuration network can only contain network specific fields. Network operator fields like "
    "[ ingress | internal | attachable | scope ] are not supported."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkWish:
    """What `docker network create` says; None leaves a choice to us."""

    name: str
    driver: str = "bridge"
    scope: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    pools: tuple[PoolWish, ...] = ()
    ipam_driver: str = ""
    ipam_options: Mapping[str, str] | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: str = ""
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])


def with_defaults(wish: NetworkWish, defaults: Mapping[str, Mapping[str, str]]) -> NetworkWish:
    """The wish with the daemon's options for its driver, where neither it nor a template says something else.

    What it says of a family itself outweighs the option, which is then left out for whoever inspects the network.
    """
    options = dict(wish.options) if wish.config_from else {**defaults.get(wish.driver or "bridge", {}), **wish.options}
    for said, label in ((wish.enable_ipv4, _ENABLE_IPV4), (wish.enable_ipv6, _ENABLE_IPV6)):
        if said is not None:
            options.pop(label, None)
    return replace(wish, options=options)


def plan_network(
    wish: NetworkWish, *, known: Collection[Network], drivers: Collection[str], created_at: str
) -> Network:
    """The network without its subnets. InvalidArgument, Forbidden, NotFound, AlreadyExists in Docker's words."""
    _check_name(wish, known)
    driver = wish.driver or "bridge"
    if driver == "overlay":
        raise errors.Forbidden(_NO_SWARM)
    enable_ipv4 = _is_enabled(wish.enable_ipv4, _ENABLE_IPV4, wish)
    enable_ipv6 = _is_enabled(wish.enable_ipv6, _ENABLE_IPV6, wish)
    pool_wishes.check(wish.pools, enable_ipv6=bool(enable_ipv6))
    _check_template(wish)
    planned = Network(
        network_id=new_id(),
        name=wish.name,
        driver=driver,
        created_at=created_at,
        scope=wish.scope or "local",
        enable_ipv4=enable_ipv4 is not False,
        enable_ipv6=bool(enable_ipv6),
        wished=tuple(wish.pools),
        ipam_driver=wish.ipam_driver or "default",
        ipam_options=dict(wish.ipam_options) if wish.ipam_options is not None else None,
        internal=wish.internal,
        attachable=wish.attachable,
        config_only=wish.config_only,
        config_from=wish.config_from,
        options=dict(wish.options),
        labels=dict(wish.labels),
    )
    if wish.config_only:
        return msgspec.structs.replace(planned, driver="null", scope="local")
    if driver not in drivers:
        raise errors.NotFound(f'plugin "{driver}" not found')
    if wish.ingress:
        raise errors.Forbidden("Ingress network can only be global scope network")
    planned = _apply_template(planned, known)
    if wish.scope == "swarm":
        raise errors.Forbidden("cannot create a swarm scoped network when swarm is not active")
    if driver in _UNSHARED:
        raise errors.Forbidden(f'only one instance of "{driver}" network is allowed')
    if planned.ipam_driver not in ("default", "null"):
        raise errors.NotFound(f'plugin "{planned.ipam_driver}" not found')
    if not planned.enable_ipv4 and not planned.enable_ipv6:
        raise errors.InvalidArgument("IPv4 or IPv6 must be enabled")
    _check_addressless(planned)
    return planned


def needs_default_pool(planned: Network) -> bool:
    """Whether a subnet of some family is ours to choose."""
    chosen = {":" in wish.subnet for wish in planned.wished}
    return (planned.enable_ipv4 and False not in chosen) or (planned.enable_ipv6 and True not in chosen)


def plan_pools(
    planned: Network, *, taken: Sequence[str], routed: Sequence[str], defaults: Sequence[tuple[str, int]]
) -> tuple[Pool, ...]:
    """The subnets of a planned network: those that were asked for, or the first default one of each family.

    `taken`: subnets of our other networks; `routed`: what the host reaches already, which a default one keeps away
    from. Forbidden: it overlaps; InvalidArgument: no default one is left.
    """
    ours = [ipam.parse_subnet(subnet) for subnet in taken]
    host = [ipam.parse_subnet(subnet) for subnet in routed]
    found: list[Pool] = []
    for ipv6, enabled in ((False, planned.enable_ipv4), (True, planned.enable_ipv6)):
        if not enabled:
            continue
        wished = [wish for wish in planned.wished if (":" in wish.subnet) is ipv6] or [PoolWish()]
        if planned.driver == "bridge" and len(wished) > 1:
            _refuse_overlaps(wished, ours)
            raise errors.Forbidden("bridge driver doesn't support multiple subnets")
        for wish in wished:
            if wish.subnet:
                subnet = ipam.parse_subnet(wish.subnet)
                _refuse_overlaps([wish], ours)
            else:
                subnet = ipam.choose_subnet(defaults, [*ours, *host], ipv6=ipv6)
            ours.append(subnet)
            found.append(_plan_pool(planned, wish, subnet, ipv6=ipv6))
    return tuple(found)


def fill_pool(pool: Pool) -> ipam.AddressPool:
    """A network's subnet with everything taken that no endpoint may have. Internal: two wishes for one address."""
    filled = ipam.AddressPool(ipam.parse_subnet(pool.subnet), ip_range=pool.ip_range)
    if pool.gateway and filled.contains(pool.gateway):
        _reserve(filled, pool.gateway, f"failed to allocate gateway ({pool.gateway})")
    for name, address in pool.auxiliary.items():
        _reserve(filled, address, f"failed to allocate secondary ip address ({name}:{address})")
    return filled


def _reserve(filled: ipam.AddressPool, address: str, what: str) -> None:
    try:
        filled.reserve(address)
    except errors.HoldfastError as error:
        raise errors.InvalidArgument(f"{what}: {error.message}") from None


def _plan_pool(planned: Network, wish: PoolWish, subnet: ipam.Subnet, *, ipv6: bool) -> Pool:
    gateway = str(ipaddress.ip_address(wish.gateway)) if wish.gateway else ""
    ip_range = wish.ip_range
    if not gateway and _needs_gateway(planned, ipv6=ipv6):
        try:
            gateway = ipam.AddressPool(subnet, ip_range=ip_range).reserve()
        except errors.Exhausted as error:
            raise errors.InvalidArgument(f"failed to allocate gateway (): {error.message}") from None
    if planned.driver == "bridge":
        _check_bridge_subnet(subnet, gateway)
    pool = Pool(subnet=str(subnet), gateway=gateway, ip_range=ip_range, auxiliary=wish.auxiliary)
    fill_pool(pool)
    return pool


def _check_bridge_subnet(subnet: ipam.Subnet, gateway: str) -> None:
    """The host takes no such IPv6 address beside the link-local one that it has."""
    if subnet.version == 4:
        return
    if not subnet.prefixlen:
        raise errors.InvalidArgument("ipv6 pool is empty")
    if subnet.is_multicast:
        raise errors.InvalidArgument(f"multicast subnet '{gateway or subnet[0]}/{subnet.prefixlen}' is not allowed")
    if subnet != _LINK_LOCAL and ipam.overlaps(subnet, _LINK_LOCAL):
        raise errors.InvalidArgument(
            f"'{gateway or subnet[0]}/{subnet.prefixlen}' clashes with the Link-Local prefix '{_LINK_LOCAL}'"
        )


def _check_addressless(planned: Network) -> None:
    """The IPAM driver `null` leaves addresses to others; a bridge cannot be without."""
    if planned.ipam_driver != "null":
        return
    if any(wish.subnet for wish in planned.wished):
        raise errors.InvalidArgument("null ipam driver does not handle specific address pool requests")
    if planned.driver == "bridge":
        raise errors.InvalidArgument("ipv4 pool is empty" if planned.enable_ipv4 else "ipv6 pool is empty")
    raise errors.Unsupported(f'the ipam driver "null" is not implemented for networks of driver {planned.driver}')


def _needs_gateway(planned: Network, *, ipv6: bool) -> bool:
    """Not where no default route would lead there and the host has no address in the network."""
    if planned.driver in ("macvlan", "ipvlan"):
        return not planned.internal and bool(planned.options.get(PARENT)) and not planned.routes_by_device
    if planned.gateway_mode(ipv6=ipv6) == "isolated":
        return False
    return ipv6 or planned.has_host_address or not planned.internal


def _refuse_overlaps(wished: Sequence[PoolWish], ours: Sequence[ipam.Subnet]) -> None:
    seen = list(ours)
    for wish in wished:
        subnet = ipam.parse_subnet(wish.subnet)
        if any(ipam.overlaps(subnet, other) for other in seen):
            raise errors.Forbidden("invalid pool request: Pool overlaps with other one on this address space")
        seen.append(subnet)


def _is_enabled(said: bool | None, label: str, wish: NetworkWish) -> bool | None:
    """What the wish says, or else the driver option, which a daemon's defaults may have given."""
    if said is not None or label not in wish.options:
        return said
    try:
        driver_options.check_flag(wish.options, label)
    except errors.InvalidArgument:
        raise errors.InvalidArgument(f'driver-opt "{label}" is not a valid bool') from None
    return wish.options[label] in ("1", "t", "T", "TRUE", "true", "True")


def _check_name(wish: NetworkWish, known: Collection[Network]) -> None:
    if wish.name in (*PREDEFINED, "default"):
        raise errors.Forbidden(f"operation is not permitted on predefined {wish.name} network ")
    if not wish.name.strip():
        raise errors.InvalidArgument("invalid name: name is empty")
    if any(network.name == wish.name for network in known):
        raise errors.AlreadyExists(f"network with name {wish.name} already exists")


def _check_template(wish: NetworkWish) -> None:
    if wish.config_only and (wish.ingress or wish.internal or wish.attachable or wish.scope):
        raise errors.Forbidden(_TEMPLATE_ONLY)
    if not wish.config_from:
        return
    if wish.config_only:
        raise errors.Forbidden("a configuration network cannot depend on another configuration network")
    is_own = wish.ipam_driver not in ("", "default") or wish.enable_ipv4 is False or wish.enable_ipv6
    if is_own or wish.labels or wish.ipam_options or wish.pools:
        raise errors.Forbidden(
            "user specified configurations are not supported if the network depends on a configuration network"
        )
    if wish.options:
        raise errors.Forbidden(
            "network driver options are not supported if the network depends on a configuration network"
        )


def _apply_template(planned: Network, known: Collection[Network]) -> Network:
    if not planned.config_from:
        return planned
    for template in known:
        if template.config_only and template.name == planned.config_from:
            return msgspec.structs.replace(
                planned,
                enable_ipv4=template.enable_ipv4,
                enable_ipv6=template.enable_ipv6,
                wished=template.wished,
                ipam_driver=template.ipam_driver,
                ipam_options=template.ipam_options,
                options=template.options,
                labels=template.labels,
            )
    raise errors.NotFound(f'configuration network "{planned.config_from}" does not exist')
