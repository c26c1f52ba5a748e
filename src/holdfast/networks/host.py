# SPDX-License-Identifier: Apache-2.0
"""What all networks of one daemon share on the host: the default bridge's subnets, forwarding, the packet rules.

Compares what the registry knows with what the host has, and makes it so: at the daemon's start, with every bridge that
comes or goes, and after others' changes. Called by the controller, in its thread; single containers are `sandboxes`'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path

import msgspec

from holdfast import errors
from holdfast.kernel import netlink
from holdfast.networks import default_bridge, forwarding, rules
from holdfast.networks.addresses import Addresses
from holdfast.networks.driver import Driver
from holdfast.networks.firewall import Firewall, NoFirewall
from holdfast.networks.journal import Sandbox
from holdfast.networks.network import Network, default_bridge_options
from holdfast.networks.registry import Registry
from holdfast.networks.values import NetworkConfig

NO_BRIDGE = "none"


class Host:
    """One host as its networks need it; `root` keeps the marks of `forwarding`."""

    __slots__ = ("_addresses", "_config", "_drivers", "_firewall", "_links", "_registry", "_root")

    def __init__(
        self,
        config: NetworkConfig,
        root: Path,
        links: netlink.Socket,
        *,
        registry: Registry,
        drivers: Mapping[str, Driver],
        addresses: Addresses,
        firewall: Firewall | NoFirewall,
    ) -> None:
        self._config = config
        self._root = root
        self._links = links
        self._registry = registry
        self._drivers = drivers
        self._addresses = addresses
        self._firewall = firewall

    def settle(self) -> list[str]:
        """Finds or makes every network, and buries what a killed daemon had removed; returns notes for the log."""
        self._claim_forwarding(ipv6=False)
        if self._config.bridge != NO_BRIDGE:
            self._settle_default_bridge()
        if self._has_ipv6():
            self._claim_forwarding(ipv6=True)
        notes: list[str] = []
        for network in self._registry.all():
            notes += self._prepare_known(network)
        self._bury_retired()
        return notes

    def open_network(self, network: Network, sandboxes: Iterable[Sandbox]) -> None:
        """A new network, in the registry already; raises with the caller to take it down again."""
        self._drivers[network.driver].prepare(network)
        self._addresses.open(network)
        if network.driver != "bridge":
            return
        self._firewall.add_bridge(rules.bridge_rules(network))
        if network.ipv6 is not None:
            self._claim_forwarding(ipv6=True)
            self.synchronise(sandboxes)
            self.switch_forwarding_on()

    def take_down(self, network: Network) -> None:
        """Removes a network for its users at once; its interface follows, and then its record."""
        if network.config_only:
            self._registry.remove(network)
            return
        if network.driver == "bridge":
            self._firewall.remove_bridge(rules.bridge_rules(network))
        self._addresses.close(network.network_id)
        self._registry.retire(network)
        self._drivers[network.driver].discard(network, partial(self._registry.forget, network))

    def synchronise(self, sandboxes: Iterable[Sandbox]) -> list[str]:
        """Makes the packet rules what networks and sandboxes need; returns what was not so."""
        found = list(sandboxes)
        identities = [
            guarded
            for sandbox in found
            for endpoint in sandbox.endpoints
            if (network := self._registry.get(endpoint.network_id)) is not None
            and (guarded := rules.identity(network, endpoint)) is not None
        ]
        return self._firewall.synchronise(
            rules.all_bridge_rules(self._registry.all()),
            [rule for sandbox in found for rule in rules.port_rules(sandbox)],
            identities,
            rules.link_rules(found, self._registry.default_bridge()),
            is_router=forwarding.is_router(self._root),
            is_router6=forwarding.is_router(self._root, ipv6=True),
        )

    def switch_forwarding_on(self) -> None:
        """IPv6 only once a network needs it: a forwarding host is another kind of host there."""
        if not self._config.ip_forward:
            return
        forwarding.switch_on()
        if self._has_ipv6():
            forwarding.switch_on(ipv6=True)

    def _has_ipv6(self) -> bool:
        return any(network.ipv6 for network in self._registry.all() if network.driver == "bridge")

    def _claim_forwarding(self, *, ipv6: bool) -> None:
        if self._config.ip_forward:
            forwarding.claim(self._root, ipv6=ipv6)

    def _settle_default_bridge(self) -> None:
        stored = self._registry.find("bridge")
        others = [subnet for network in self._registry.all() if not network.is_predefined for subnet in network.subnets]
        pools, wished = default_bridge.choose(self._links, self._config, stored, others)
        settled = msgspec.structs.replace(
            stored,
            pools=pools,
            wished=wished,
            enable_ipv6=self._config.ipv6,
            options=default_bridge_options(self._config),
        )
        if settled != stored:
            self._registry.put(settled)

    def _prepare_known(self, network: Network) -> list[str]:
        """One network that the host refuses must not keep the daemon from starting."""
        if network.config_only:
            return []
        try:
            self._drivers[network.driver].prepare(network)
            self._addresses.open(network)
        except (errors.HoldfastError, OSError, KeyError) as error:
            if network.is_predefined:
                raise
            return [f"network {network.name} cannot be used: {error}"]
        return []

    def _bury_retired(self) -> None:
        """An interface whose name somebody has again is not ours any more."""
        taken = {network.bridge_interface for network in self._registry.all() if network.driver == "bridge"}
        for network in self._registry.retired:
            if network.bridge_interface in taken:
                self._registry.forget(network)
            else:
                self._drivers[network.driver].discard(network, partial(self._registry.forget, network))
