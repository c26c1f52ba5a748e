# SPDX-License-Identifier: Apache-2.0
"""What the firewall must know of networks and sandboxes: from our values to its. Pure; called by the controller."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.networks.firewall import BridgeRules, Identity, PortRule
from holdfast.networks.journal import Sandbox
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint


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

    A port without a number on the host is one of a network in gateway mode `routed`.
    """
    if not found.ports:
        return []
    ways = {False: found.gateways.ipv4, True: found.gateways.ipv6}
    rules: list[PortRule] = []
    for port in found.ports:
        is_ipv6 = ":" in port.host_ip
        gateway = ways[is_ipv6]
        if gateway is None:
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
