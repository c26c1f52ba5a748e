# SPDX-License-Identifier: Apache-2.0
"""What the firewall must know of networks and sandboxes: from our values to its. Pure; called by the controller."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from holdfast.networks.firewall import BridgeRules, Identity, LinkRule, PortRule
from holdfast.networks.journal import Sandbox
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint, NetworkConfig, RelayRule

RELAYED = ("tcp", "udp")
"""The protocols that the relay speaks."""


def bridge_rules(network: Network) -> BridgeRules:
    """A bridge network."""
    return BridgeRules(
        interface=network.bridge_interface,
        subnets=network.subnets,
        icc=network.has_icc,
        internal=network.internal,
        masquerade=network.is_masqueraded,
        mode=network.gateway_mode(ipv6=False),
        mode6=network.gateway_mode(ipv6=True),
        leave_as=network.leaves_as(ipv6=False),
        leave_as6=network.leaves_as(ipv6=True),
        trusted=network.trusted_interfaces,
    )


def all_bridge_rules(networks: Iterable[Network]) -> list[BridgeRules]:
    return [bridge_rules(network) for network in networks if network.driver == "bridge" and not network.config_only]


def identity(network: Network, endpoint: Endpoint) -> Identity | None:
    """What an endpoint may say it is; None where nobody asks."""
    if network.driver != "bridge" or not network.prevents_spoofing:
        return None
    return Identity(
        interface=endpoint.host_interface,
        mac=endpoint.mac,
        ipv4=endpoint.ip_address,
        ipv6=endpoint.ipv6_address,
    )


def port_rules(found: Sandbox) -> list[PortRule]:
    """A sandbox's published ports, each led to its address in the network of the default route of its family.

    A port without a number on the host is one of a network in gateway mode `routed`. None leads from ::1: answers to it
    cannot come back through a bridge (see `relay_rules`).
    """
    if not found.ports:
        return []
    ways = {False: found.gateways.ipv4, True: found.gateways.ipv6}
    rules: list[PortRule] = []
    for port in found.ports:
        is_ipv6 = ":" in port.host_ip
        gateway = ways[is_ipv6]
        if gateway is None or port.host_ip == "::1":
            continue
        rules.append(
            PortRule(
                protocol=port.protocol,
                host_ip=port.host_ip,
                host_port=port.host_port,
                container_ip=gateway.ipv6_address if is_ipv6 else gateway.ip_address,
                container_port=port.container_port,
                is_routed=port.host_port == 0,
            )
        )
    return rules


def link_rules(sandboxes: Collection[Sandbox], bridge: Network | None) -> list[LinkRule]:
    """The exposed ports that linked containers may reach in the default bridge, where others may not. IPv4, as Docker."""
    if bridge is None or bridge.has_icc:
        return []
    addresses = {
        found.container_id: endpoint.ip_address
        for found in sandboxes
        if (endpoint := found.endpoint(bridge.network_id)) is not None and endpoint.ip_address
    }
    by_id = {found.container_id: found for found in sandboxes}
    return [
        LinkRule(
            interface=bridge.bridge_interface,
            source_ip=addresses[found.container_id],
            container_ip=addresses[other],
            protocol=protocol,
            container_port=port,
        )
        for found in sandboxes
        if found.container_id in addresses
        for other in found.linked
        if other in addresses
        for port, protocol in by_id[other].exposed
    ]


def relay_rules(found: Sandbox, config: NetworkConfig) -> list[RelayRule]:
    """Those of a sandbox's ports that no packet rule can lead, or all of them: the relay's.

    That is IPv6 to a container without it, ::1 (which `::` includes), and whatever comes by a protocol that the
    administrator wants no rules for.
    """
    if not config.relay or not found.ports:
        return []
    ways = found.gateways
    rules: list[RelayRule] = []
    for port in found.ports:
        is_ipv6 = ":" in port.host_ip
        is_led = (config.firewall6 and port.host_ip not in ("::", "::1")) if is_ipv6 else config.firewall
        own = ways.ipv6 if is_ipv6 else ways.ipv4
        target = own or ways.ipv4
        if not port.host_port or port.protocol not in RELAYED or target is None or (own is not None and is_led):
            continue
        address = target.ipv6_address if is_ipv6 and own is not None else target.ip_address
        rules.append(RelayRule(port=port, container_ip=address))
    return rules
