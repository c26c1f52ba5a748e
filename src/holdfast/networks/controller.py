# SPDX-License-Identifier: Apache-2.0
"""The one object that `engine` talks to: makes networks, connects containers to them and knows who is where.

All methods block and must be called from one dedicated thread: `connect` moves that thread through the new namespace.
A network's record is written before the host is touched and removed after it is clean, so a daemon that was killed at
any line finds what to make or to take down. Traffic needs no daemon: namespaces, veths and rules live in the kernel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from holdfast import errors
from holdfast.kernel import netlink, netns, nfelement, nftables
from holdfast.networks import creation, endpoint_plan, factory, host_subnets, rules, sandbox_names
from holdfast.networks.addresses import Addresses
from holdfast.networks.creation import NetworkWish
from holdfast.networks.firewall import Firewall, Monitor, NoFirewall
from holdfast.networks.host import NO_BRIDGE, Host
from holdfast.networks.journal import Journal, Sandbox
from holdfast.networks.names import NoResolver, Resolver
from holdfast.networks.network import Network, format_time
from holdfast.networks.ports import PortAllocator, read_ephemeral_range
from holdfast.networks.registry import Registry, Store
from holdfast.networks.relay.client import Relay
from holdfast.networks.sandboxes import Sandboxes, Surroundings
from holdfast.networks.undertaker import Undertaker
from holdfast.networks.values import Attachment, ConnectRequest, Endpoint, EndpointSettings, NetworkConfig

_CONTAINER_MODE = "container:"
_SHORT_ID = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A container in a network."""

    container_id: str
    name: str
    endpoint: Endpoint


class Controller:
    """Every network of one daemon, in the network namespace in which this object is made."""

    def __init__(
        self,
        store: Store,
        exec_root: Path,
        config: NetworkConfig,
        *,
        now_nanos: int,
        resolver: Resolver | None = None,
    ) -> None:
        self._config = config
        self._netns_directory = exec_root / "netns"
        self._netns_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        root = exec_root / "networks"
        journal = Journal(root / "sandboxes")
        self._registry = Registry(store)
        self._registry.ensure_predefined(now_nanos, has_bridge=config.bridge != NO_BRIDGE)
        self._links = netlink.Socket()
        self._undertaker = Undertaker()
        self._drivers = factory.open_drivers(self._links, self._undertaker)
        self._firewall = _open_firewall(config)
        self._monitor = Monitor() if isinstance(self._firewall, Firewall) else None
        self._ports = PortAllocator(ephemeral=read_ephemeral_range())
        self._addresses = Addresses()
        self._resolver = resolver or NoResolver()
        self._relay = Relay(root, self._ports.holder)
        self._host = Host(
            config,
            root,
            self._links,
            registry=self._registry,
            drivers=self._drivers,
            addresses=self._addresses,
            firewall=self._firewall,
        )
        self._sandboxes = Sandboxes(
            Surroundings(
                config=config,
                netns_directory=self._netns_directory,
                registry=self._registry,
                drivers=self._drivers,
                addresses=self._addresses,
                ports=self._ports,
                journal=journal,
                firewall=self._firewall,
                resolver=self._resolver,
                relay=self._relay,
                synchronise=lambda: self._host.synchronise(self._sandboxes),
            )
        )

    def start(self) -> list[str]:
        """Finds or makes everything on the host; returns what was noticed, for the daemon's log."""
        notes = [f"network record {key} is damaged and not used" for key in self._registry.damaged]
        notes += self._host.settle()
        notes += self._restore_sandboxes()
        self._host.synchronise(self._sandboxes)
        notes += self._firewall.take_complaints()
        self._host.switch_forwarding_on()
        try:
            self._relay.start([rule for found in self._sandboxes for rule in rules.relay_rules(found, self._config)])
        except errors.HoldfastError as error:
            notes.append(str(error))
        try:
            self._resolver.start([sandbox_names.names_of(found) for found in self._sandboxes if found.asks_us])
        except errors.HoldfastError as error:
            notes.append(f"containers do not find each other by name: {error}")
        return notes

    def close(self) -> None:
        """Lets go of sockets; the networks stay as they are."""
        self._sandboxes.close()
        self._undertaker.close()
        self._resolver.close()
        self._relay.close()
        self._ports.close()
        self._firewall.close()
        if self._monitor is not None:
            self._monitor.close()
        self._links.close()

    def watched(self) -> list[int]:
        """Descriptors that become readable when `repair` has something to look at; ask again after each repair."""
        found = [self._resolver.fileno(), self._relay.fileno(), -1 if self._monitor is None else self._monitor.fileno()]
        return [fd for fd in found if fd >= 0]

    def repair(self) -> list[str]:
        """Puts right what others have changed or killed on this host; returns what that was. Raises Internal."""
        notes: list[str] = []
        who = self._monitor.read() if self._monitor is not None else []
        changes = self._host.synchronise(self._sandboxes) if who else self._firewall.look()
        if changes:
            culprits = ", ".join(who) or "somebody"
            notes.append(f"{culprits} changed the packet rules, now put right ({len(changes)}): {changes[0]}")
        notes += self._firewall.take_complaints()
        notes += [note for note in (self._resolver.repair(), self._relay.repair()) if note]
        return notes

    def lookout_seconds(self) -> float | None:
        """How soon `repair` should look though nothing was told; None: never."""
        return self._firewall.lookout_seconds

    def prepare(self) -> None:
        """Does ahead what the next `connect` needs whoever calls it; for idle moments. Raises Internal."""
        self._sandboxes.prepare()

    # networks

    def create(self, wish: NetworkWish, *, now_nanos: int) -> Network:
        """Makes a network; nothing is left of one that cannot be. Errors as `creation` and the drivers tell them."""
        known = self._registry.all()
        wish = creation.with_defaults(wish, self._config.default_options)
        planned = creation.plan_network(wish, known=known, drivers=self._drivers, created_at=format_time(now_nanos))
        if planned.config_only:
            self._registry.put(planned)
            return planned
        driver = self._drivers[planned.driver]
        driver.check(planned)
        self._refuse_same_bridge(planned, known)
        pools = creation.plan_pools(
            planned,
            taken=[subnet for network in known for subnet in network.subnets],
            routed=host_subnets.read(self._links) if creation.needs_default_pool(planned) else (),
            defaults=self._config.pools,
        )
        made = msgspec.structs.replace(planned, pools=pools)
        self._registry.put(made)
        try:
            self._host.open_network(made, self._sandboxes)
        except BaseException:
            self._host.take_down(made)
            raise
        return made

    def remove(self, name_or_id: str) -> Network:
        """Removes a network; NotFound, Forbidden while somebody is in it. What the host lost already is no error."""
        network = self._registry.find(name_or_id)
        if network.is_predefined:
            raise errors.Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        if network.config_only and any(other.config_from == network.name for other in self._registry.all()):
            raise errors.Forbidden(f'error while removing network: configuration network "{network.name}" is in use')
        members = self.members(network.network_id)
        if members:
            shown = ", ".join([f'name:"{each.name}" id:"{each.endpoint.endpoint_id[:_SHORT_ID]}"' for each in members])
            raise errors.Forbidden(
                f"error while removing network: network {network.name} has active endpoints ({shown})"
            )
        self._host.take_down(network)
        return network

    def networks(self) -> list[Network]:
        return self._registry.all()

    @property
    def has_default_bridge(self) -> bool:
        """Whether there is a network `bridge`."""
        return self._registry.default_bridge() is not None

    def network(self, name_or_id: str) -> Network:
        """By name, id or id prefix; raises NotFound."""
        return self._registry.find(name_or_id)

    def known(self, network_id: str) -> Network | None:
        """By the whole id; from any thread."""
        return self._registry.get(network_id)

    def members(self, network_id: str) -> list[Member]:
        """The containers that are in a network now."""
        return [
            Member(container_id=found.container_id, name=found.name, endpoint=endpoint)
            for found in self._sandboxes
            for endpoint in found.endpoints
            if endpoint.network_id == network_id
        ]

    # containers

    def check_wish(self, settings: EndpointSettings) -> Network | None:
        """The network that is meant, if it exists already; InvalidArgument for a wish that it cannot fulfil.

        From any thread.
        """
        try:
            network = self._registry.find(settings.network)
        except errors.NotFound:
            network = None
        endpoint_plan.check_settings(settings, network.name if network else settings.network, network)
        return network

    def plan(self, request: ConnectRequest, joined_pid: int | None = None) -> Attachment:
        """Settles what a container's network will be, addresses, ports and paths; `make` makes it so on the host.

        Whatever the container had before is taken down first. Raises NotFound (network), Forbidden (address), Exhausted
        (port taken, in Docker's words); leaves nothing then.
        """
        if request.mode.startswith(_CONTAINER_MODE):
            return self._share(request, joined_pid)
        return _attachment(self._sandboxes.plan(request), request)

    def make(self, request: ConnectRequest) -> None:
        """Carries out what was planned for the request; leaves nothing, not the plan either, when it raises."""
        if not request.mode.startswith(_CONTAINER_MODE):
            self._sandboxes.make(request)

    def connect(self, request: ConnectRequest, joined_pid: int | None = None) -> Attachment:
        """`plan` and `make` in one."""
        planned = self.plan(request, joined_pid)
        self.make(request)
        return planned

    def change(self, request: ConnectRequest) -> Attachment:
        """Makes a living container's networks those of the request, and touches no other; errors as of `connect`."""
        return _attachment(self._sandboxes.change(request), request)

    def disconnect(self, container_id: str) -> None:
        """Takes a container's network down; idempotent. What fails is left to the next `reconcile`."""
        self._sandboxes.disconnect(container_id)

    def rename(self, container_id: str, name: str) -> None:
        """Follows a container's new name; one without a network is no error."""
        self._sandboxes.rename(container_id, name)

    def sandbox(self, container_id: str) -> Sandbox | None:
        """A container's network as it is, also after a restart of the daemon."""
        return self._sandboxes.get(container_id)

    def reconcile(self, live: Collection[str]) -> list[str]:
        """Takes down what belongs to no live container, and devices and names nobody knows; returns what that was.

        What live containers have lost is made again.
        """
        changed: list[str] = []
        for found in self._sandboxes:
            if found.container_id not in live:
                self.disconnect(found.container_id)
                changed.append(found.container_id)
        known_paths = {found.netns_path for found in self._sandboxes}
        for path in self._netns_directory.iterdir():
            if str(path) not in known_paths:
                netns.remove(str(path))
                changed.append(str(path))
        for network in self._registry.all():
            repaired = self._drivers[network.driver].repair(
                network, [member.endpoint for member in self.members(network.network_id)]
            )
            changed += [*repaired.devices, *self._sandboxes.rejoin(network, repaired.lost)]
        return changed

    def statistics(self) -> dict[str, int]:
        return {
            "networks": len(self._registry.all()),
            "sandboxes": len(self._sandboxes),
            "ports": sum(len(found.ports) for found in self._sandboxes),
        }

    # inside

    def _restore_sandboxes(self) -> list[str]:
        if not self._config.relay:
            self._relay.dismiss()
        recovered = self._relay.recover() if self._config.relay else {}
        notes = self._sandboxes.restore(recovered)
        for unneeded in recovered.values():
            unneeded.close()
        return notes

    def _refuse_same_bridge(self, planned: Network, known: Collection[Network]) -> None:
        if planned.driver != "bridge":
            return
        name = planned.bridge_interface
        for other in known:
            if other.driver == "bridge" and other.bridge_interface == name:
                raise errors.Forbidden(
                    f"cannot create network {planned.network_id} ({name}): conflicts with network {other.network_id} "
                    f"({name}): networks have same bridge name"
                )

    def _share(self, request: ConnectRequest, joined_pid: int | None) -> Attachment:
        joined = self._sandboxes.get(request.mode.removeprefix(_CONTAINER_MODE))
        if joined is not None:
            path: str | None = joined.netns_path or None
        elif joined_pid:
            path = f"/proc/{joined_pid}/ns/net"
        else:
            raise errors.Conflict(f"cannot join network of a non running container: {request.mode[10:]}")
        return _files(Attachment(sandbox_id="", netns_path=path), request.directory)


def _open_firewall(config: NetworkConfig) -> Firewall | NoFirewall:
    if not config.firewall and not config.firewall6:
        return NoFirewall()
    unruled = "" if config.firewall and config.firewall6 else ("ipv6" if config.firewall else "ipv4")
    return Firewall(nftables.open_nftables(), nfelement.open_socket(), unruled=unruled)


def _attachment(found: Sandbox, request: ConnectRequest) -> Attachment:
    return _files(
        Attachment(
            sandbox_id=found.sandbox_id,
            netns_path=found.netns_path or None,
            endpoints=found.endpoints,
            ports=found.ports,
        ),
        request.directory,
    )


def _files(attachment: Attachment, directory: Path) -> Attachment:
    return replace(
        attachment,
        hosts_path=directory / "hosts",
        resolv_conf_path=directory / "resolv.conf",
        hostname_path=directory / "hostname",
    )
