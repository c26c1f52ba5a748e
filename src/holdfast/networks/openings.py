# SPDX-License-Identifier: Apache-2.0
"""What a sandbox opens: its published ports, by packet rules or the relay, and the ports that links lead to.

Ports are taken first (`reserve`) and opened when there is somebody behind them; they move with the container's default
routes. Called by `sandboxes`, whose `Surroundings` it shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from holdfast import errors
from holdfast.networks import publication, rules, sandbox
from holdfast.networks.firewall import Firewall, LinkRule, NoFirewall, OutOfStep
from holdfast.networks.journal import Sandbox
from holdfast.networks.ports import PortAllocator
from holdfast.networks.registry import Registry
from holdfast.networks.relay.client import Relay
from holdfast.networks.values import BoundPort, ConnectRequest, NetworkConfig


class Openings:
    """Of all sandboxes of one daemon. `synchronise` puts the firewall's table right."""

    __slots__ = ("_config", "_firewall", "_ports", "_registry", "_relay", "_sandboxes", "_synchronise")

    def __init__(
        self,
        config: NetworkConfig,
        sandboxes: Iterable[Sandbox],
        *,
        registry: Registry,
        ports: PortAllocator,
        firewall: Firewall | NoFirewall,
        relay: Relay,
        synchronise: Callable[[], object],
    ) -> None:
        self._config = config
        self._sandboxes = sandboxes
        self._registry = registry
        self._ports = ports
        self._firewall = firewall
        self._relay = relay
        self._synchronise = synchronise

    def reserve(self, request: ConnectRequest, planned: Sandbox) -> tuple[BoundPort, ...]:
        """Takes the ports that were asked for, or none. Exhausted in Docker's words when one is taken."""
        ways = self._ways(planned) if request.ports else ()
        if not ways:
            return ()
        gateways = planned.gateways
        named = gateways.ipv4 or gateways.ipv6
        return publication.reserve(self._ports, request, ways, named.endpoint_id if named else "")

    def open(self, planned: Sandbox) -> None:
        """Opens its ports, and those that it, or another one, was linked for."""
        self._open_ports(planned)
        self.open_links(planned)

    def close_ports(self, found: Sandbox) -> None:
        """Nothing is led to it any more; the ports stay taken."""
        if found.ports:
            self._relay.shut(rules.relay_rules(found, self._config))
            self._firewall.withdraw(rules.port_rules(found))

    def move_ports(self, request: ConnectRequest, found: Sandbox, after: Sandbox) -> Sandbox:
        """Leads the published ports to the new gateways; they stay the same ports where the new networks allow.

        Exhausted when one that the new networks need is taken; then they lead where they did.
        """
        if found.gateways == after.gateways:
            return after
        self.close_ports(found)
        if not publication.is_same_for_host(self._ways(found), self._ways(after)):
            self._ports.release(found.ports)
            try:
                after = msgspec.structs.replace(after, ports=self.reserve(request, after))
            except BaseException:
                self._ports.adopt(found.ports)
                self._open_ports(found)
                raise
        self._open_ports(after)
        return after

    def open_links(self, found: Sandbox) -> None:
        """Idempotent."""
        wanted = self._link_rules(found)
        if wanted:
            try:
                self._firewall.link(wanted)
            except errors.Internal:  # somebody has changed or flushed the table
                self._synchronise()

    def close_links(self, found: Sandbox) -> None:
        """Idempotent."""
        self._firewall.unlink(self._link_rules(found))

    def _ways(self, found: Sandbox) -> tuple[publication.Way, ...]:
        relays = self._config.relay and sandbox.has_ipv6()
        return publication.ways(found.gateways, self._registry.find, relays=relays)

    def _open_ports(self, planned: Sandbox) -> None:
        wanted = rules.port_rules(planned)
        if wanted:
            try:
                self._firewall.publish(wanted)
            except OutOfStep:
                self._synchronise()
        self._relay.open(rules.relay_rules(planned, self._config))

    def _link_rules(self, found: Sandbox) -> list[LinkRule]:
        """Those from and to a container that has, or had, its sandbox like this."""
        if not found.linked and not found.exposed:
            return []
        bridge = self._registry.default_bridge()
        endpoint = found.endpoint(bridge.network_id) if bridge is not None else None
        if bridge is None or bridge.has_icc or endpoint is None:
            return []
        others = [other for other in self._sandboxes if other.container_id != found.container_id]
        own = endpoint.ip_address
        return [
            rule for rule in rules.link_rules([*others, found], bridge) if own in (rule.source_ip, rule.container_ip)
        ]
