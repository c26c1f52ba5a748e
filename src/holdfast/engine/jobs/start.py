# SPDX-License-Identifier: Apache-2.0
"""`docker start`: network, spec, shim; returns when the command has been executed, or says why not.

Whatever step fails undoes the ones before it. Called by `api.routes.containers`, by restart and by restart policies.
Source: Engine API v1.51 ContainerStart, moby 28 `daemon/start.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import select
import time
from collections.abc import Sequence

from holdfast.containers import Container, namespace_modes, ports, spec
from holdfast.containers.config import EndpointIPAM, EndpointSettings, HostConfig
from holdfast.containers.record import Health as HealthState
from holdfast.containers.record import HealthResult, NetworkState, PublishedPort
from holdfast.engine import mounting, start_failure, surroundings, volume_events
from holdfast.engine.jobs import health
from holdfast.engine.jobs.remove import remove_ended
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, HoldfastError, NotModified
from holdfast.networks import Attachment, ConnectRequest, PortBinding
from holdfast.networks import EndpointSettings as EndpointWish
from holdfast.shim.client import Launch, LogTarget, StreamGrant


async def start(*, packages: Packages, reference: str) -> None:
    """Starts a container that does not run; NotModified, Conflict, StartError."""
    container = packages.containers.find(reference)
    # a client that leaves must not stop a start half-way
    await asyncio.shield(packages.background.start(_start(packages, container), f"start of {container.id[:12]}"))


async def _start(packages: Packages, container: Container) -> None:
    async with container.lock:
        await container.settle()
        if container.state.status == "running":
            raise NotModified(f"container {container.id} is already running")
        if container.state.status == "paused":
            raise Conflict("cannot start a paused container, try unpause instead")
        if container.record.is_removing or container.state.status in ("removing", "dead"):
            raise Conflict("container is marked for removal and cannot be started")
        container.cancel_restart()
        container.record.restart_count = 0
        container.record.was_stopped_by_user = False
        container.fast_restarts = 0
        await start_locked(packages, container)


async def start_locked(packages: Packages, container: Container) -> None:
    """The start itself; the caller holds the lock and has looked at the state."""
    container.require_sound()
    try:
        await _launch(packages, container)
    except HoldfastError as error:
        failure = _failed(packages, container, error)
        if container.record.host_config.auto_remove:
            packages.background.start(remove_ended(packages, container), f"removal of {container.id[:12]}")
        raise failure from error
    packages.containers.save(container)
    packages.events.publish("container", "start", container.id, container.attributes())
    health.begin(packages, container)


async def _launch(packages: Packages, container: Container) -> None:
    record = container.record
    attachment = await _connect(packages, container)
    grants: Sequence[StreamGrant] = ()
    try:
        sources = await mounting.attach(packages, container)
        around = surroundings.gather(packages, container, attachment, sources)
        document = spec.compile_spec(record, around)
        grants = _present(container.drop_pending())
        shim = await packages.supervisor.launch(_plan_launch(packages, container, document, around.cgroup_path, grants))
    except BaseException:
        for grant in (*grants, *container.drop_pending()):
            grant.sock.close()
        with contextlib.suppress(HoldfastError):
            await packages.networks.disconnect(container.id)
        await mounting.detach(packages, container)
        raise
    container.shim = shim
    container.change("start")
    state = record.state
    state.pid, state.started_nanos, state.finished_nanos = shim.pid, shim.started_at_nanos, 0
    state.exit_code, state.error, state.oom_killed = 0, "", False
    state.health = _fresh_health(container)
    record.was_started = True
    record.network = _network_state(record.host_config, record.network, attachment)
    volume_events.publish_mounts(packages.events, container)
    for endpoint in attachment.endpoints:
        packages.events.publish(
            "network",
            "connect",
            endpoint.network_id,
            {"container": container.id, "name": endpoint.network_name, "type": endpoint.driver},
        )


def _present(grants: Sequence[StreamGrant]) -> list[StreamGrant]:
    """The clients that are still there; one that only closed its sending side is."""
    found: list[StreamGrant] = []
    for grant in grants:
        poll = select.poll()
        poll.register(grant.sock, 0)
        if any(mask & (select.POLLHUP | select.POLLERR) for _, mask in poll.poll(0)):
            grant.sock.close()
        else:
            found.append(grant)
    return found


def _plan_launch(
    packages: Packages,
    container: Container,
    document: dict[str, object],
    cgroup_path: str,
    grants: Sequence[StreamGrant],
) -> Launch:
    record = container.record
    log = record.host_config.log_config
    if log.type == "json-file":
        record.log_path = str(packages.config.container_directory(record.id) / f"{record.id}-json.log")
    return Launch(
        container_id=record.id,
        directory=str(packages.config.shim_directory(record.id)),
        spec=document,
        rootfs_mounts=packages.snapshots.mounts(record.id),
        cgroup_path=cgroup_path,
        log=LogTarget(
            driver=log.type,
            path=record.log_path or str(packages.config.container_directory(record.id) / f"{record.id}.log"),
            options=log.config or {},
        ),
        seccomp=spec.seccomp_mode(record, packages.config.sandbox),
        tty=record.config.tty,
        open_stdin=record.config.open_stdin,
        stdin_once=record.config.stdin_once,
        runtime=packages.config.runtimes.get(record.host_config.runtime, "native"),
        grants=grants,
    )


async def _connect(packages: Packages, container: Container) -> Attachment:
    record = container.record
    config, host = record.config, record.host_config
    joined_id = namespace_modes.joined_container(host.network_mode)
    joined_pid: int | None = None
    directory = packages.config.container_directory(record.id)
    if joined_id is not None:
        other = surroundings.running(packages, joined_id, "network")
        joined_pid = other.state.pid
        directory = packages.config.container_directory(other.id)
    request = ConnectRequest(
        container_id=record.id,
        name=record.name,
        hostname=config.hostname,
        domainname=config.domainname,
        mode="none" if config.network_disabled else host.network_mode,
        directory=directory,
        ports=_port_wishes(container),
        dns=tuple(host.dns or ()),
        dns_search=tuple(host.dns_search or ()),
        dns_options=tuple(host.dns_options or ()),
        extra_hosts=(*(host.extra_hosts or ()), *_links(packages, host)),
        mac=config.mac_address,
        endpoints=tuple(_endpoint_wish(name, wish) for name, wish in record.network.endpoints.items()),
    )
    try:
        return await packages.networks.connect(request, joined_pid)
    except HoldfastError as error:
        error.message = f"failed to set up container networking: {error.message}"
        raise


def _links(packages: Packages, host: HostConfig) -> list[str]:
    """Links as entries of /etc/hosts: `NAME[:ALIAS]`."""
    found: list[str] = []
    for link in host.links or ():
        reference, _, alias = link.partition(":")
        other = packages.containers.find(reference)
        if not other.state.has_process:
            raise Conflict(f"Cannot link to a non running container: {other.name}")
        address = next((e.ip_address for e in other.record.network.endpoints.values() if e.ip_address), "")
        if address:
            found += [f"{name}:{address}" for name in dict.fromkeys((alias or other.name, other.name, other.id[:12]))]
    return found


def _port_wishes(container: Container) -> tuple[PortBinding, ...]:
    host = container.record.host_config
    if host.network_mode in ("host", "none") or host.network_mode.startswith("container:"):
        return ()
    found: list[PortBinding] = []
    bound: set[tuple[int, str]] = set()
    for text, wishes in (host.port_bindings or {}).items():
        port, protocol = ports.parse(text)
        for wish in wishes or ():
            bound.add((port, protocol))
            low, high = ports.parse_range(wish.host_port)
            found.append(
                PortBinding(
                    container_port=port,
                    protocol=protocol,
                    host_ip=wish.host_ip,
                    host_port_start=low,
                    host_port_end=high,
                )
            )
    if host.publish_all_ports:
        for port, protocol in ports.iter_exposed(container.record.config.exposed_ports):
            if (port, protocol) not in bound:
                found.append(PortBinding(container_port=port, protocol=protocol))
    return tuple(found)


def _endpoint_wish(name: str, wish: EndpointSettings) -> EndpointWish:
    ipam = wish.ipam_config or EndpointIPAM()
    return EndpointWish(
        network=name,
        ip_address=ipam.ipv4_address,
        mac=wish.mac_address if not wish.endpoint_id else "",
        aliases=tuple(wish.aliases or ()),
    )


def _network_state(host: HostConfig, wished: NetworkState, attachment: Attachment) -> NetworkState:
    endpoints: dict[str, EndpointSettings] = {}
    for endpoint in attachment.endpoints:
        wish = wished.endpoints.get(endpoint.network_name) or EndpointSettings()
        endpoints[endpoint.network_name] = EndpointSettings(
            ipam_config=wish.ipam_config,
            links=wish.links,
            aliases=wish.aliases,
            driver_opts=wish.driver_opts,
            gw_priority=wish.gw_priority,
            mac_address=endpoint.mac,
            network_id=endpoint.network_id,
            endpoint_id=endpoint.endpoint_id,
            gateway=endpoint.gateway,
            ip_address=endpoint.ip_address,
            ip_prefix_len=endpoint.prefix_length,
            dns_names=list(endpoint.dns_names) or None,
        )
    return NetworkState(
        sandbox_id=attachment.sandbox_id,
        sandbox_key=attachment.netns_path or ("" if host.network_mode != "host" else "/proc/1/ns/net"),
        ports=[
            PublishedPort(
                container_port=port.container_port,
                protocol=port.protocol,
                host_ip=port.host_ip,
                host_port=port.host_port,
            )
            for port in attachment.ports
        ],
        endpoints=endpoints,
        hosts_path=str(attachment.hosts_path or ""),
        resolv_conf_path=str(attachment.resolv_conf_path or ""),
        hostname_path=str(attachment.hostname_path or ""),
    )


def _fresh_health(container: Container) -> HealthState | None:
    check = container.record.config.healthcheck
    if check is None or not check.test or check.test[0] in ("", "NONE"):
        return None
    return HealthState(status="starting", failing_streak=0, log=list[HealthResult]())


def _failed(packages: Packages, container: Container, error: HoldfastError) -> HoldfastError:
    """Writes the failure down and gives it Docker's words."""
    error = start_failure.of_container(error)
    state = container.state
    container.change("fail")
    state.exit_code, state.error, state.pid = start_failure.exit_code(error.message), error.message, 0
    state.finished_nanos = time.time_ns() if container.record.was_started else 0
    packages.containers.save(container)
    return error
