# SPDX-License-Identifier: Apache-2.0
"""`docker start`: network, spec, shim; returns when the command has been executed, or says why not.

Whatever step fails undoes the ones before it. Called by `api.routes.containers`, by restart and by restart policies.
Source: Engine API v1.51 ContainerStart, moby 28 `daemon/start.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Generator, Sequence

from holdfast.containers import Container, spec
from holdfast.containers.record import Health as HealthState
from holdfast.containers.record import HealthResult
from holdfast.engine import (
    container_network,
    leftovers,
    log_target,
    mounting,
    sandbox_files,
    start_failure,
    surroundings,
    volume_events,
)
from holdfast.engine.jobs import attach, health
from holdfast.engine.jobs.remove import remove_ended
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, HoldfastError, NotModified, Unavailable
from holdfast.networks import Attachment
from holdfast.shim.client import Launch, StreamGrant

_LOG = logging.getLogger("holdfast.engine")


async def start(*, packages: Packages, reference: str) -> None:
    """Starts a container that does not run; NotModified, Conflict, StartError."""
    container = packages.containers.find(reference)
    # a client that leaves must not stop a start half-way
    await asyncio.shield(packages.background.start(_start(packages, container), f"start of {container.id[:12]}"))


async def _start(packages: Packages, container: Container) -> None:
    async with container.lock:
        await packages.supervisor.hear_out(container.shim)
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
    await packages.flusher.wait(container.creation)  # begun at the creation, and long over


async def _launch(packages: Packages, container: Container) -> None:
    record = container.record
    attachment, make_network = await _plan_network(packages, container)
    grants: Sequence[StreamGrant] = ()
    try:
        sources = await mounting.attach(packages, container)
        around = surroundings.gather(packages, container, attachment, sources)
        document = spec.compile_spec(record, around)
        grants = attach.present(container.drop_pending())
        plan = _plan_launch(packages, container, document, around.cgroup_path, grants)
        await leftovers.let_go(packages, container)
        shim = await packages.supervisor.launch(plan, meanwhile=make_network)
    except BaseException as error:
        for grant in (*grants, *container.drop_pending()):
            grant.sock.close()
        if isinstance(error, Unavailable):  # a shim that was killed could not clean up
            await asyncio.to_thread(leftovers.kill, packages, container)
        with contextlib.suppress(HoldfastError):
            await packages.networks.disconnect(container.id)
        await mounting.detach(packages, container)
        sandbox_files.release(packages, record)
        raise
    container.shim = shim
    container.change("start")
    state = record.state
    state.pid, state.started_nanos, state.finished_nanos = shim.pid, shim.started_at_nanos, 0
    container.begun_nanos = time.monotonic_ns()
    state.exit_code, state.error, state.oom_killed = 0, "", False
    state.health = _fresh_health(container)
    record.was_started = True
    record.network = container_network.state_of(record, attachment)
    volume_events.publish_mounts(packages.events, container)
    for endpoint in attachment.endpoints:
        container_network.publish_event(packages, "connect", endpoint, container.id)


def _plan_launch(
    packages: Packages,
    container: Container,
    document: dict[str, object],
    cgroup_path: str,
    grants: Sequence[StreamGrant],
) -> Launch:
    record = container.record
    log = log_target.plan(packages, record)
    if log.driver == "json-file":
        record.log_path = log.path
    return Launch(
        container_id=record.id,
        directory=str(packages.config.shim_directory(record.id)),
        spec=document,
        rootfs_mounts=packages.snapshots.mounts(record.id),
        cgroup_path=cgroup_path,
        log=log,
        seccomp=spec.seccomp_mode(record, packages.config.sandbox),
        tty=record.config.tty,
        open_stdin=record.config.open_stdin,
        stdin_once=record.config.stdin_once,
        runtime=surroundings.runtime_command(packages, record),
        grants=grants,
    )


async def _plan_network(packages: Packages, container: Container) -> tuple[Attachment, Callable[[], Awaitable[None]]]:
    """What its network will be, and what makes it."""
    request, joined_pid = container_network.request_of(packages, container)
    with _naming_the_network():
        attachment = await packages.networks.plan(request, joined_pid)

    async def make() -> None:
        with _naming_the_network():
            await packages.networks.make(request)

    return attachment, make


@contextlib.contextmanager
def _naming_the_network() -> Generator[None]:
    try:
        yield
    except HoldfastError as error:
        error.message = f"failed to set up container networking: {error.message}"
        raise


def _fresh_health(container: Container) -> HealthState | None:
    check = container.record.config.healthcheck
    if check is None or not check.test or check.test[0] in ("", "NONE"):
        return None
    if check.test[0] not in ("CMD", "CMD-SHELL"):
        kind = check.test[0]
        _LOG.warning("unknown healthcheck type %r (expected 'CMD') in container %s: no checks", kind, container.id[:12])
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
