# SPDX-License-Identifier: Apache-2.0
"""What the firewall must know of networks and sandboxes: from our values to its. Pure; called by the controller."""

from __future__ import annotations

from collections.abc import Iterable

from holdfast.networks.firewall import BridgeRules, PortRule
from holdfast.networks.journal import Sandbox
from holdfast.networks.network import Network


def bridge_rules(network: Network) -> BridgeRules:
    """A bridge network."""
    pool = network.ipv4
    return BridgeRules(
        interface=network.bridge_interface,
        subnet=pool.subnet if pool else "",
        icc=network.has_icc,
        internal=network.internal,
        masquerade=network.is_masqueraded and pool is not None,
    )


def all_bridge_rules(networks: Iterable[Network]) -> list[BridgeRules]:
    return [bridge_rules(network) for network in networks if network.driver == "bridge" and not network.config_only]


def port_rules(found: Sandbox) -> list[PortRule]:
    """A sandbox's published ports, each led to its address in the network of the default route."""
    if not found.ports:
        return []
    gateway = found.gateways.ipv4
    if gateway is None:
        return []
    return [
        PortRule(
            protocol=port.protocol,
            host_ip=port.host_ip,
            host_port=port.host_port,
            container_ip=gateway.ip_address,
            container_port=port.container_port,
        )
        for port in found.ports
        if ":" not in port.host_ip
    ]
