# SPDX-License-Identifier: Apache-2.0
"""Every container's network: planned, made, changed while the container lives, taken down.

Order of every change: journal, host, answer; and backwards when taking down. So whatever line a `kill -9` hits, the
next daemon's `restore` and `change` find it. A living container's wanted networks are compared with those it has, and
the difference alone is applied. Called by the controller, in its one thread: it moves through namespaces.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from holdfast import errors
from holdfast.kernel import netns
from holdfast.networks import endpoint_plan, files, interface, names, rules, sandbox, sandbox_names
from holdfast.networks.addresses import Addresses
from holdfast.networks.driver import Driver
from holdfast.networks.firewall import Firewall, NoFirewall
from holdfast.networks.journal import Journal, Sandbox
from holdfast.networks.network import Network, new_id
from holdfast.networks.openings import Openings
from holdfast.networks.ports import PortAllocator
from holdfast.networks.registry import Registry
from holdfast.networks.relay.client import Relay
from holdfast.networks.spare import Spare
from holdfast.networks.values import ConnectRequest, Endpoint, EndpointSettings, NetworkConfig

Wanted = list[tuple[Network, EndpointSettings]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What sandboxes are made with; built once by the controller. `synchronise` puts the firewall's table right."""

    config: NetworkConfig
    netns_directory: Path
    registry: Registry
    drivers: Mapping[str, Driver]
    addresses: Addresses
    ports: PortAllocator
    journal: Journal
    firewall: Firewall | NoFirewall
    resolver: names.Resolver
    relay: Relay
    synchronise: Callable[[], object]


class Sandboxes:
    """All sandboxes of one daemon by their container's id."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._by_container: dict[str, Sandbox] = {}
        self._spare = Spare()
        self._openings = Openings(
            around.config,
            self,
            registry=around.registry,
            ports=around.ports,
            firewall=around.firewall,
            relay=around.relay,
            synchronise=around.synchronise,
        )

    def __iter__(self) -> Iterator[Sandbox]:
        return iter(tuple(self._by_container.values()))

    def __len__(self) -> int:
        return len(self._by_container)

    def get(self, container_id: str) -> Sandbox | None:
        return self._by_container.get(container_id)

    def prepare(self) -> None:
        """Does ahead what the next `connect` needs whoever calls it; raises Internal."""
        self._spare.prepare()

    def close(self) -> None:
        self._spare.close()

    def restore(self, recovered: dict[str, socket.socket]) -> list[str]:
        """Reads what the last daemon left and takes its addresses and ports again; returns notes for the log.

        `recovered`: see `PortAllocator.adopt`.
        """
        found, damaged = self._around.journal.load()
        notes = [f"network state of container {container_id} is damaged" for container_id in damaged]
        for each in found:
            self._by_container[each.container_id] = each
            for endpoint in each.endpoints:
                self._around.addresses.adopt(endpoint)
            notes += [
                f"port {port.host_ip}:{port.host_port}/{port.protocol} of {each.name} is also used by another program"
                for port in self._around.ports.adopt(each.ports, recovered)
            ]
        return notes

    def rejoin(self, network: Network, lost: Sequence[Endpoint]) -> list[str]:
        """Gives containers the interfaces back that the host has lost; returns notes for the log."""
        by_id = {endpoint.endpoint_id: found for found in self for endpoint in found.endpoints}
        notes: list[str] = []
        for endpoint in lost:
            found = by_id[endpoint.endpoint_id]
            try:
                with netns.enter(found.netns_path) as space:
                    interface.remove(space, endpoint.container_interface)
                    self._around.drivers[network.driver].join(network, endpoint, space)
                    interface.route(found.gateways, space)
                notes.append(f"network {network.name}: interface of {found.name} was missing and is made again")
            except (errors.HoldfastError, OSError) as error:
                notes.append(f"network {network.name}: interface of {found.name} is missing: {error}")
        return notes

    def plan(self, request: ConnectRequest) -> Sandbox:
        """Settles what a container's network will be; whatever it had before is taken down first.

        Nothing changes on the host but that the ports are taken. Leaves nothing when it raises.
        """
        self.disconnect(request.container_id)
        planned = self._plan(request)
        self._by_container[request.container_id] = planned
        return planned

    def make(self, request: ConnectRequest) -> None:
        """Makes what was planned for the request true on the host; leaves nothing, not the plan either, when it raises."""
        try:
            self._make(request, self._by_container[request.container_id])
        except BaseException as error:
            self.disconnect(request.container_id)
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                raise _unfinished(request, error) from error
            raise

    def change(self, request: ConnectRequest) -> Sandbox:
        """Makes a living container's networks those of the request; NotFound when it has no network of its own.

        A network that cannot be joined leaves everything as it was.
        """
        found = self._by_container.get(request.container_id)
        if found is None:
            raise errors.NotFound(f"network sandbox for container {request.container_id} not found")
        wanted = self._wanted(request)
        ids = {network.network_id for network, _settings in wanted}
        kept = tuple([endpoint for endpoint in found.endpoints if endpoint.network_id in ids])
        leaving = [endpoint for endpoint in found.endpoints if endpoint.network_id not in ids]
        new = [each for each in wanted if not found.endpoint(each[0].network_id)]
        come = self._plan_endpoints(request, new, found.endpoints)  # beside those that are still to leave
        after = msgspec.structs.replace(found, name=request.name, endpoints=(*kept, *come))
        after = msgspec.structs.replace(after, asks_us=found.asks_us or after.has_names)
        if come or leaving:
            try:
                self._exchange(request, found, after, come, leaving)
            except OSError as error:
                raise _unfinished(request, error) from error
        return self._by_container[request.container_id]

    def disconnect(self, container_id: str) -> None:
        """Takes a container's network down; idempotent. What fails is left to the next attempt."""
        found = self._by_container.get(container_id)
        if found is None:
            return
        around = self._around
        steps: list[Callable[[], None]] = [
            lambda: self._openings.close_ports(found),
            lambda: self._openings.close_links(found),
        ]
        steps += [partial(self._leave, found, endpoint, lives_on=False) for endpoint in found.endpoints]
        if found.asks_us:
            steps.append(lambda: around.resolver.withdraw(found.sandbox_id))
        if found.netns_path:
            steps.append(lambda: netns.remove(found.netns_path))
        failures = _run_all(steps)
        if failures:
            raise errors.Internal(
                f"failed to take down the network of {found.name}: {failures[0]}"
            ) from ExceptionGroup("network", failures)
        self._release(found.endpoints)
        around.ports.release(found.ports)
        around.journal.remove(found.container_id)
        self._by_container.pop(found.container_id, None)

    def rename(self, container_id: str, name: str) -> None:
        """Follows a container's new name; one without a network is no error."""
        found = self._by_container.get(container_id)
        if found is None:
            return
        renamed = msgspec.structs.replace(
            found, name=name, endpoints=tuple([_renamed(each, found.name, name) for each in found.endpoints])
        )
        self._keep(renamed)
        self._publish_names(renamed)

    # plan

    def _wanted(self, request: ConnectRequest) -> Wanted:
        settings = request.endpoints
        if settings is None:
            settings = (EndpointSettings(network=request.mode or "bridge"),)
        wanted = [(self._around.registry.find(each.network), each) for each in settings]
        endpoint_plan.check_mixture(request.mode, request.name, [network for network, _settings in wanted])
        return wanted

    def _plan(self, request: ConnectRequest) -> Sandbox:
        """Takes addresses and ports; nothing on the host changes yet but the ports' sockets."""
        wanted = self._wanted(request)
        endpoints = self._plan_endpoints(request, wanted, ())
        try:
            sandbox_id = new_id()
            has_namespace = all(self._around.drivers[each.driver].has_namespace for each in endpoints)
            planned = Sandbox(
                sandbox_id=sandbox_id,
                container_id=request.container_id,
                name=request.name,
                netns_path=str(self._around.netns_directory / sandbox_id[:12]) if has_namespace else "",
                endpoints=endpoints,
                nameservers=files.nameservers(request, self._around.config),
                asks_us=any(each.has_names for each in endpoints),
                keeps_single_labels=files.keeps_single_labels(request, self._around.config),
                linked=request.linked,
                exposed=request.exposed,
            )
            return msgspec.structs.replace(planned, ports=self._openings.reserve(request, planned))
        except BaseException:
            self._release(endpoints)
            raise

    def _plan_endpoints(
        self, request: ConnectRequest, wanted: Wanted, present: Sequence[Endpoint]
    ) -> tuple[Endpoint, ...]:
        planned: list[Endpoint] = []
        try:
            for network, settings in wanted:
                planned.append(
                    endpoint_plan.plan_endpoint(
                        request,
                        network,
                        settings,
                        addresses=self._around.addresses,
                        present=[*present, *planned],
                        is_first=not present and not planned,
                    )
                )
        except BaseException:
            self._release(planned)
            raise
        return tuple(planned)

    def _release(self, endpoints: Collection[Endpoint]) -> None:
        for each in endpoints:
            self._around.addresses.release(each.network_id, each.ip_address, each.ipv6_address)

    # make

    def _make(self, request: ConnectRequest, planned: Sandbox) -> None:
        around = self._around
        around.journal.write(planned)
        if planned.netns_path:
            spare = None if request.sysctls else self._spare.take()
            with sandbox.open_namespace(planned.netns_path, request.sysctls, spare=spare) as space:
                for endpoint in planned.endpoints:
                    self._join(endpoint, space)
                _route(planned, space)
        self._openings.open(planned)
        self._write_files(request, planned)
        self._publish_names(planned)

    def _join(self, endpoint: Endpoint, space: netns.Netns) -> None:
        network = self._around.registry.find(endpoint.network_id)
        guarded = rules.identity(network, endpoint)
        if guarded is not None:  # before there is an interface that could lie
            self._around.firewall.bind(guarded)
        self._around.drivers[endpoint.driver].join(network, endpoint, space)

    def _leave(self, found: Sandbox, endpoint: Endpoint, *, lives_on: bool) -> None:
        network = self._around.registry.get(endpoint.network_id)
        if network is not None:
            self._around.drivers[endpoint.driver].leave(network, endpoint, found.netns_path, lives_on=lives_on)
            guarded = rules.identity(network, endpoint)
            if guarded is not None:
                self._around.firewall.unbind(guarded)

    def _write_files(self, request: ConnectRequest, planned: Sandbox) -> None:
        bridge = self._around.registry.default_bridge()
        pools = (bridge.ipv4, bridge.ipv6) if bridge else ()
        files.write(
            request,
            planned.endpoints,
            self._around.config,
            in_host=not planned.netns_path,
            gateways=[pool.gateway for pool in pools if pool and pool.gateway],
        )

    def _publish_names(self, found: Sandbox) -> None:
        if found.asks_us:
            self._around.resolver.publish(sandbox_names.names_of(found))

    def _keep(self, found: Sandbox) -> None:
        self._around.journal.write(found)
        self._by_container[found.container_id] = found

    # change

    def _exchange(
        self,
        request: ConnectRequest,
        found: Sandbox,
        after: Sandbox,
        come: Sequence[Endpoint],
        leaving: Sequence[Endpoint],
    ) -> None:
        """Joins first: what fails then is undone, and the container is where it was."""
        self._keep(msgspec.structs.replace(found, endpoints=(*found.endpoints, *come)))
        with netns.enter(found.netns_path) as space:
            joined: list[Endpoint] = []
            try:
                for endpoint in come:
                    joined.append(endpoint)
                    self._join(endpoint, space)
                after = self._openings.move_ports(request, found, after)
            except BaseException:
                _run_all([partial(self._leave, found, endpoint, lives_on=True) for endpoint in joined])
                self._release(come)
                self._keep(found)
                raise
            self._keep(msgspec.structs.replace(after, endpoints=(*after.endpoints, *leaving)))
            if leaving:
                self._openings.close_links(found)
            for endpoint in leaving:
                self._leave(found, endpoint, lives_on=True)
            _route(after, space, before=found)
        self._keep(after)
        self._release(leaving)
        self._openings.open_links(after)
        files.update(request, found.endpoints, after.endpoints, self._around.config)
        self._publish_names(after)


def _route(after: Sandbox, space: netns.Netns, *, before: Sandbox | None = None) -> None:
    """A default route that has no successor goes with its interface."""
    gateways = after.gateways
    if before is not None and before.gateways == gateways:
        return
    try:
        interface.route(gateways, space)
    except OSError as error:
        raise errors.Internal(f"failed to set the default route of {after.name}: {error.strerror}") from error


def _renamed(endpoint: Endpoint, old: str, new: str) -> Endpoint:
    changed = dict.fromkeys([new if name == old else name for name in endpoint.dns_names])
    return msgspec.structs.replace(endpoint, dns_names=tuple(changed))


def _unfinished(request: ConnectRequest, error: OSError) -> errors.HoldfastError:
    """A file or a namespace that the host does not let us have."""
    text = f"network of {request.name}: {(error.strerror or str(error)).lower()}"
    return errors.Exhausted(text) if error.errno == errno.ENOSPC else errors.Internal(text)


def _run_all(steps: Sequence[Callable[[], None]]) -> list[Exception]:
    """Every step, whatever becomes of the others."""
    failures: list[Exception] = []
    for step in steps:
        try:
            step()
        except (errors.HoldfastError, OSError) as error:
            failures.append(error)
    return failures
