# SPDX-License-Identifier: Apache-2.0
"""The one object that `engine` talks to: connects containers to networks and knows who is where.

All methods block and must be called from one dedicated thread: `connect` moves that thread through the new namespace.
Order of every change: journal, host, answer; and backwards when taking down. So whatever line a `kill -9` hits, the
next daemon's `start` and `reconcile` find it. Traffic needs no daemon: namespaces, veths and rules live in the kernel.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec

from holdfast import errors
from holdfast.kernel import netlink, netns, nfelement, nftables
from holdfast.networks import default_bridge, factory, forwarding, ipam, sandbox
from holdfast.networks.firewall import BridgeRules, Firewall, NoFirewall, OutOfStep, PortRule
from holdfast.networks.journal import Journal, Sandbox
from holdfast.networks.network import Network, default_bridge_options, new_id
from holdfast.networks.ports import PortAllocator, read_ephemeral_range
from holdfast.networks.registry import Registry, Store
from holdfast.networks.spare import Spare
from holdfast.networks.values import Attachment, ConnectRequest, Endpoint, EndpointSettings, NetworkConfig

_CONTAINER_MODE = "container:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A container in a network."""

    container_id: str
    name: str
    endpoint: Endpoint


class Controller:
    """Every network of one daemon, in the network namespace in which this object is made."""

    def __init__(self, store: Store, exec_root: Path, config: NetworkConfig, *, now_nanos: int) -> None:
        self._config = config
        self._root = exec_root / "networks"
        self._netns_directory = exec_root / "netns"
        self._netns_directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._journal = Journal(self._root / "sandboxes")
        self._registry = Registry(store)
        self._registry.ensure_predefined(now_nanos)
        self._links = netlink.Socket()
        self._drivers = factory.open_drivers(self._links)
        self._firewall = (
            Firewall(nftables.open_nftables(), nfelement.open_socket()) if config.firewall else NoFirewall()
        )
        self._ports = PortAllocator(ephemeral=read_ephemeral_range())
        self._pools: dict[str, ipam.AddressPool] = {}
        self._sandboxes: dict[str, Sandbox] = {}
        self._spare = Spare()

    def start(self) -> list[str]:
        """Finds or makes everything on the host; returns what was noticed, for the daemon's log."""
        notes = [f"network record {key} is damaged and not used" for key in self._registry.damaged]
        if self._config.ip_forward:
            forwarding.switch_on(self._root)
        self._settle_default_bridge()
        for network in self._registry.all():
            self._drivers[network.driver].prepare(network)
            if network.subnet:
                self._pools[network.network_id] = _open_pool(network)
        sandboxes, damaged = self._journal.load()
        notes += [f"network state of container {container_id} is damaged" for container_id in damaged]
        for found in sandboxes:
            notes += self._restore(found)
        self._synchronise_firewall()
        return notes

    def close(self) -> None:
        """Lets go of sockets; the networks stay as they are."""
        self._spare.close()
        self._ports.close()
        self._firewall.close()
        self._links.close()

    def prepare(self) -> None:
        """Does ahead what the next `connect` needs whoever calls it; for idle moments. Raises Internal."""
        self._spare.prepare()

    def connect(self, request: ConnectRequest, joined_pid: int | None = None) -> Attachment:
        """Gives a container its network; whatever it had before is taken down first.

        Raises NotFound (network), Conflict (address), Exhausted (port taken, in Docker's words); leaves nothing then.
        """
        if request.mode.startswith(_CONTAINER_MODE):
            return self._share(request, joined_pid)
        self.disconnect(request.container_id)
        planned = self._plan(request)
        self._sandboxes[request.container_id] = planned
        try:
            planned = self._apply(request, planned)
        except BaseException as error:
            self.disconnect(request.container_id)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise errors.Exhausted(f"network of {request.name}: no space left on device") from error
            raise
        return _attachment(planned, request)

    def disconnect(self, container_id: str) -> None:
        """Takes a container's network down; idempotent. What fails is left to the next `reconcile`."""
        found = self._sandboxes.get(container_id)
        if found is None:
            return
        failures: list[Exception] = []
        steps: list[Callable[[], None]] = []
        if found.ports:
            steps.append(lambda: self._firewall.withdraw(_port_rules(found)))
        steps += [partial(self._leave, endpoint) for endpoint in found.endpoints]
        if found.netns_path:
            steps.append(lambda: netns.remove(found.netns_path))
        for step in steps:
            try:
                step()
            except (errors.HoldfastError, OSError) as error:
                failures.append(error)
        if failures:
            raise errors.Internal(
                f"failed to take down the network of {found.name}: {failures[0]}"
            ) from ExceptionGroup("network", failures)
        self._forget(found)

    def rename(self, container_id: str, name: str) -> None:
        """Follows a container's new name; one without a network is no error."""
        found = self._sandboxes.get(container_id)
        if found is not None:
            renamed = msgspec.structs.replace(found, name=name)
            self._journal.write(renamed)
            self._sandboxes[container_id] = renamed

    def networks(self) -> list[Network]:
        return self._registry.all()

    def network(self, name_or_id: str) -> Network:
        """By name, id or id prefix; raises NotFound."""
        return self._registry.find(name_or_id)

    def members(self, network_id: str) -> list[Member]:
        """The containers that are in a network now."""
        return [
            Member(container_id=found.container_id, name=found.name, endpoint=endpoint)
            for found in self._sandboxes.values()
            for endpoint in found.endpoints
            if endpoint.network_id == network_id
        ]

    def sandbox(self, container_id: str) -> Sandbox | None:
        """A container's network as it is, also after a restart of the daemon."""
        return self._sandboxes.get(container_id)

    def reconcile(self, live: Collection[str]) -> list[str]:
        """Takes down what belongs to no live container, and devices and names nobody knows; returns what that was."""
        removed: list[str] = []
        for container_id in [key for key in self._sandboxes if key not in live]:
            self.disconnect(container_id)
            removed.append(container_id)
        known_paths = {found.netns_path for found in self._sandboxes.values()}
        for path in self._netns_directory.iterdir():
            if str(path) not in known_paths:
                netns.remove(str(path))
                removed.append(str(path))
        known = {e.host_interface for found in self._sandboxes.values() for e in found.endpoints}
        for network in self._registry.all():
            removed += self._drivers[network.driver].remove_strays(network, known)
        return removed

    def statistics(self) -> dict[str, int]:
        return {
            "networks": len(self._registry.all()),
            "sandboxes": len(self._sandboxes),
            "ports": sum(len(found.ports) for found in self._sandboxes.values()),
        }

    # start

    def _settle_default_bridge(self) -> None:
        stored = self._registry.find("bridge")
        others = [network.subnet for network in self._registry.all() if network.subnet and not network.is_predefined]
        subnet, gateway = default_bridge.choose_subnet(self._links, self._config, stored.subnet, stored.gateway, others)
        options = default_bridge_options(self._config)
        if (stored.subnet, stored.gateway, stored.options) != (subnet, gateway, options):
            self._registry.put(msgspec.structs.replace(stored, subnet=subnet, gateway=gateway, options=options))

    def _restore(self, found: Sandbox) -> list[str]:
        self._sandboxes[found.container_id] = found
        for endpoint in found.endpoints:
            pool = self._pools.get(endpoint.network_id)
            if pool is not None and endpoint.ip_address and not pool.is_used(endpoint.ip_address):
                pool.allocate(endpoint.ip_address)
        return [
            f"port {port.host_ip}:{port.host_port}/{port.protocol} of {found.name} is also used by another program"
            for port in self._ports.adopt(found.ports)
        ]

    def _synchronise_firewall(self) -> list[str]:
        bridges = [_bridge_rules(network) for network in self._registry.all() if network.driver == "bridge"]
        ports = [rule for found in self._sandboxes.values() for rule in _port_rules(found)]
        return self._firewall.synchronise(bridges, ports, is_router=forwarding.is_router(self._root))

    # connect

    def _plan(self, request: ConnectRequest) -> Sandbox:
        """Takes addresses and ports; nothing on the host changes yet but the ports' sockets."""
        endpoints: list[Endpoint] = []
        try:
            for index, settings in enumerate(_wanted_networks(request)):
                network = self._registry.find(settings.network)
                endpoints.append(self._plan_endpoint(request, network, settings, index))
            return self._plan_sandbox(request, tuple(endpoints))
        except BaseException:
            self._release_addresses(endpoints)
            raise

    def _plan_endpoint(
        self, request: ConnectRequest, network: Network, settings: EndpointSettings, index: int
    ) -> Endpoint:
        endpoint_id = new_id()
        address = mac = ""
        pool = self._pools.get(network.network_id)
        if pool is not None:
            address = pool.allocate(settings.ip_address)
            mac = settings.mac or (request.mac if index == 0 else "") or ipam.mac_of(address)
        return Endpoint(
            endpoint_id=endpoint_id,
            network_id=network.network_id,
            network_name=network.name,
            driver=network.driver,
            container_interface=f"eth{index}" if pool else "",
            host_interface=f"veth{endpoint_id[:10]}" if pool else "",
            ip_address=address,
            prefix_length=pool.subnet.prefixlen if pool else 0,
            gateway=network.gateway if pool and not network.internal else "",
            mac=mac,
            aliases=settings.aliases,
        )

    def _plan_sandbox(self, request: ConnectRequest, endpoints: tuple[Endpoint, ...]) -> Sandbox:
        sandbox_id = new_id()
        has_namespace = all(self._drivers[endpoint.driver].has_namespace for endpoint in endpoints)
        planned = Sandbox(
            sandbox_id=sandbox_id,
            container_id=request.container_id,
            name=request.name,
            netns_path=str(self._netns_directory / sandbox_id[:12]) if has_namespace else "",
            endpoints=endpoints,
        )
        if not planned.port_address:
            return planned
        network = self._registry.find(endpoints[0].network_id)
        ports = self._ports.reserve(
            request.ports,
            default_ip=network.host_binding_ip,
            container_ip=planned.port_address,
            endpoint=f"{request.name} ({endpoints[0].endpoint_id})",
        )
        return msgspec.structs.replace(planned, ports=ports)

    def _apply(self, request: ConnectRequest, planned: Sandbox) -> Sandbox:
        self._journal.write(planned)
        if planned.netns_path:
            spare = None if request.sysctls else self._spare.take()
            with sandbox.open_namespace(planned.netns_path, request.sysctls, spare=spare) as space:
                for index, endpoint in enumerate(planned.endpoints):
                    network = self._registry.find(endpoint.network_id)
                    self._drivers[endpoint.driver].join(network, endpoint, space, is_default_route=index == 0)
        self._publish(planned)
        sandbox.write_files(
            request,
            planned.endpoints,
            self._config,
            in_host=not planned.netns_path,
            gateway=self._registry.find("bridge").gateway,
        )
        return planned

    def _publish(self, planned: Sandbox) -> None:
        rules = _port_rules(planned)
        if rules:
            try:
                self._firewall.publish(rules)
            except OutOfStep:
                self._synchronise_firewall()

    def _share(self, request: ConnectRequest, joined_pid: int | None) -> Attachment:
        joined = self._sandboxes.get(request.mode.removeprefix(_CONTAINER_MODE))
        if joined is not None:
            path: str | None = joined.netns_path or None
        elif joined_pid:
            path = f"/proc/{joined_pid}/ns/net"
        else:
            raise errors.Conflict(f"cannot join network of a non running container: {request.mode[10:]}")
        return _files(Attachment(sandbox_id="", netns_path=path), request.directory)

    # disconnect

    def _leave(self, endpoint: Endpoint) -> None:
        network = self._registry.get(endpoint.network_id)
        if network is not None:
            self._drivers[endpoint.driver].leave(network, endpoint)

    def _forget(self, found: Sandbox) -> None:
        self._release_addresses(found.endpoints)
        self._ports.release(found.ports)
        self._journal.remove(found.container_id)
        self._sandboxes.pop(found.container_id, None)

    def _release_addresses(self, endpoints: Collection[Endpoint]) -> None:
        for endpoint in endpoints:
            pool = self._pools.get(endpoint.network_id)
            if pool is not None and endpoint.ip_address:
                pool.release(endpoint.ip_address)


def _wanted_networks(request: ConnectRequest) -> tuple[EndpointSettings, ...]:
    """The first one is where the default route goes and where published ports lead."""
    mode = request.mode or "bridge"
    named = [settings for settings in request.endpoints if settings.network == mode]
    others = [settings for settings in request.endpoints if settings.network != mode]
    return (*(named or [EndpointSettings(network=mode)]), *others)


def _open_pool(network: Network) -> ipam.AddressPool:
    return ipam.AddressPool(
        ipam.parse_subnet(network.subnet),
        gateway=network.gateway,
        ip_range=network.ip_range,
        reserved=network.auxiliary.values(),
    )


def _bridge_rules(network: Network) -> BridgeRules:
    return BridgeRules(
        interface=network.bridge_interface,
        subnet=network.subnet,
        icc=network.has_icc,
        internal=network.internal,
        masquerade=network.is_masqueraded,
    )


def _port_rules(found: Sandbox) -> list[PortRule]:
    return [
        PortRule(
            protocol=port.protocol,
            host_ip=port.host_ip,
            host_port=port.host_port,
            container_ip=found.port_address,
            container_port=port.container_port,
        )
        for port in found.ports
        if ":" not in port.host_ip
    ]


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
