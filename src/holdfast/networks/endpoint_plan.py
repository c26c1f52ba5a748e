# SPDX-License-Identifier: Apache-2.0
"""From what was asked of one network to a container's place in it. Touches no interface; called by the controller.

Source: moby 28 `daemon/container_operations.go`; texts of dockerd 28.5.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence

from holdfast import errors
from holdfast.networks import driver_options, ipam, pool_wishes
from holdfast.networks.addresses import Addresses
from holdfast.networks.network import DEFAULT_GATEWAYS, PREDEFINED, Network, new_id
from holdfast.networks.values import ConnectRequest, Endpoint, EndpointSettings

ENDPOINT_SYSCTLS = "com.docker.network.endpoint.sysctls"
_INTERFACE_NAME = "com.docker.network.endpoint.ifname"
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}", re.ASCII)
_SYSCTL = re.compile(r"net\.(ipv4|ipv6|mpls)\.([\w-]+)\.(?:IFNAME|ifname)\.([\w-]+)=([\w ./:-]*)", re.ASCII)
_SHORT_ID = 12
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_NONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
_TO_HOST = "cannot connect container to host network - container must be created in host network mode"


def check_settings(settings: EndpointSettings, name: str, network: Network | None = None) -> None:
    """Raises InvalidArgument with everything that is wrong; without the network its subnets are not looked at."""
    found: list[str] = []
    if name in PREDEFINED:
        if settings.ip_address or settings.ipv6_address:
            found.append("user specified IP address is supported on user defined networks only")
        if settings.aliases:
            found.append("network-scoped alias is supported only for containers in user defined networks")
    for text, version in ((settings.ip_address, 4), (settings.ipv6_address, 6)):
        if text and not _is_address(text, version):
            found.append(f"invalid IPv{version} address: {text}")
    found += [
        f"invalid link-local IP address: {text}" for text in settings.link_local_addresses if not _is_address(text)
    ]
    if network is not None:
        found += [
            fault
            for text, version in ((settings.ip_address, 4), (settings.ipv6_address, 6))
            if text and (fault := _subnet_fault(text, version, network))
        ]
    for text in settings.link_local_addresses:
        if _is_address(text) and not ipaddress.ip_address(text).is_link_local:
            raise errors.InvalidArgument(f"invalid link local IP address: {text}")
    if settings.mac and not (_MAC.fullmatch(settings.mac) and _is_own(settings.mac)):
        raise errors.InvalidArgument(f"invalid MAC address {settings.mac}")
    found += [
        f"unrecognised network interface sysctl '{text}'; represent 'net.X.Y.ethN.Z=V' as 'net.X.Y.IFNAME.Z=V', "
        "'X' must be 'ipv4', 'ipv6' or 'mpls'"
        for text in _sysctl_texts(settings)
        if not _SYSCTL.fullmatch(text)
    ]
    if found:
        raise errors.InvalidArgument(f"invalid endpoint settings:\n{pool_wishes.listed(found)}")


def plan_endpoint(
    request: ConnectRequest,
    network: Network,
    settings: EndpointSettings,
    *,
    addresses: Addresses,
    present: Collection[Endpoint],
    is_first: bool,
) -> Endpoint:
    """Takes the addresses; raises with nothing taken. `present`: the container's other endpoints."""
    if network.config_only:
        raise errors.Forbidden("cannot create endpoint on configuration-only network")
    check_settings(settings, network.name, network)
    endpoint_id = new_id()
    ipv4, ipv4_length = addresses.allocate(network, settings.ip_address, ipv6=False)
    try:
        ipv6, ipv6_length = addresses.allocate(network, settings.ipv6_address, ipv6=True) if request.ipv6 else ("", 0)
    except BaseException:
        addresses.release(network.network_id, ipv4)
        raise
    interface = _interface(network, settings, present) if network.pools else ""
    mac = settings.mac or (request.mac if is_first else "")
    return Endpoint(
        endpoint_id=endpoint_id,
        network_id=network.network_id,
        network_name=network.name,
        driver=network.driver,
        container_interface=interface,
        host_interface=f"veth{endpoint_id[:10]}" if interface else "",
        ip_address=ipv4,
        prefix_length=ipv4_length,
        gateway=_gateway(network, ipv4),
        ipv6_address=ipv6,
        ipv6_prefix_length=ipv6_length,
        ipv6_gateway=_gateway(network, ipv6),
        link_local_addresses=settings.link_local_addresses,
        mac=(mac.lower().replace("-", ":") or ipam.mac_of(ipv4 or ipv6 or _some_address(endpoint_id)))
        if interface
        else "",
        dns_names=dns_names(request, settings) if network.has_names else (),
        links=settings.links,
        sysctls=_sysctls(settings, interface),
        gateway_priority=settings.gateway_priority,
        is_internal=network.internal,
        has_names=network.has_names,
        routes_by_device=network.routes_by_device,
    )


def dns_names(request: ConnectRequest, settings: EndpointSettings) -> tuple[str, ...]:
    """What the container is called in a network, its name first."""
    names = (request.name, *settings.aliases, request.container_id[:_SHORT_ID], request.hostname)
    return tuple(dict.fromkeys([name for name in names if name]))


def _some_address(endpoint_id: str) -> str:
    """What the MAC of an interface without addresses is made from."""
    return str(ipaddress.IPv4Address(int(endpoint_id[:8], 16)))


def _gateway(network: Network, address: str) -> str:
    """The gateway of the subnet that an address is in, where the container is to have a way out."""
    if not address or network.internal or network.routes_by_device:
        return ""
    own = ipaddress.ip_address(address)
    pools = network.pools if len(network.pools) > 1 else ()
    first = network.ipv6 if own.version == 6 else network.ipv4
    found = next((pool for pool in pools if own in ipam.parse_subnet(pool.subnet)), first)
    if found is None:
        return ""
    named = found.auxiliary.get(DEFAULT_GATEWAYS[found.is_ipv6], "") if network.driver == "bridge" else ""
    return named or found.gateway


def _interface(network: Network, settings: EndpointSettings, present: Collection[Endpoint]) -> str:
    taken = {endpoint.container_interface for endpoint in present}
    wanted = dict(settings.driver_options).get(_INTERFACE_NAME, "")
    if wanted:
        if not driver_options.is_interface_name(wanted) or wanted == "lo":
            raise errors.InvalidArgument(f"invalid interface name: {wanted}")
        if wanted in taken:
            raise errors.Conflict(f"interface name {wanted} is already in use")
        return wanted
    prefix = network.interface_prefix
    return next(name for index in range(len(taken) + 1) if (name := f"{prefix}{index}") not in taken)


def _sysctl_texts(settings: EndpointSettings) -> Sequence[str]:
    text = dict(settings.driver_options).get(ENDPOINT_SYSCTLS)
    return () if text is None else text.split(",")


def _sysctls(settings: EndpointSettings, interface: str) -> tuple[tuple[str, str], ...]:
    found: list[tuple[str, str]] = []
    for text in _sysctl_texts(settings):
        matched = _SYSCTL.fullmatch(text)
        if matched is not None:
            family, group, name, value = matched.groups()
            found.append((f"{family}/{group}/{interface}/{name}", value))
    return tuple(found)


def _is_own(mac: str) -> bool:
    """Not a group's, nor nobody's: the kernel gives no interface such a one."""
    return not int(mac[:2], 16) & 1 and mac.strip("0:-") != ""


def _is_address(text: str, version: int = 0) -> bool:
    try:
        address = ipam.read_address(text)
    except ValueError:
        return False
    is_mapped = isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None
    known = 4 if is_mapped else address.version  # an IPv4 address in IPv6's clothes is no IPv6 address
    return version in (0, known) and not address.is_unspecified


def _subnet_fault(text: str, version: int, network: Network) -> str:
    """Addresses may be chosen only where somebody chose the subnet, too."""
    subnets = [ipam.parse_subnet(wish.subnet) for wish in network.wished if wish.subnet]
    chosen = [subnet for subnet in subnets if subnet.version == version]
    if not chosen:
        return "user specified IP address is supported only when connecting to networks with user configured subnets"
    if _is_address(text, version) and any(ipaddress.ip_address(text) in subnet for subnet in chosen):
        return ""
    return f"no configured subnet or ip-range contain the IP address {text}"


def check_mixture(mode: str, name: str, networks: Sequence[Network]) -> None:
    """What a container may be in at once; InvalidArgument, Forbidden (one network under two names).

    Only a container that was made for it shares the host's network.
    """
    for index, network in enumerate(networks):
        if network in networks[:index]:
            raise errors.Forbidden(f"endpoint with name {name} already exists in network {network.name}")
    if mode != "host" and any(network.driver == "host" for network in networks):
        raise errors.InvalidArgument(_TO_HOST)
    if len(networks) > 1 and any(network.driver == "host" for network in networks):
        raise errors.InvalidArgument(_SHARED)
    if len(networks) > 1 and any(network.name == "none" for network in networks):
        raise errors.InvalidArgument(_NONE)
