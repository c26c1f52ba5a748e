# SPDX-License-Identifier: Apache-2.0
"""What happens when a process ends: report first, clean up after, then what the restart policy or `--rm` wants.

`reap_forever` is the one reader of the supervisor's events; it never waits, so one container's clean-up delays no other
container's report. Called by `daemon.wiring` at start. Source: moby 28 `daemon/monitor.go`, `restartmanager`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Sequence

from holdfast.containers import Container, restart_policy
from holdfast.containers.config import EndpointSettings
from holdfast.engine import container_network, leftovers, mounting, sandbox_files, volume_events
from holdfast.engine.jobs import health
from holdfast.engine.jobs.remove import remove_ended
from holdfast.engine.jobs.start import start_locked
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, NotFound
from holdfast.shim.client import Detached, Event, Exited, OutOfMemory, Shim, ShimLost

_LOG = logging.getLogger("holdfast.engine")
_KILLED = 137
SHIM_IS_GONE = "the shim that watched this container is gone"
_SECOND = 1_000_000_000
_SAVE_SECONDS = 2.0


async def reap_forever(packages: Packages) -> None:
    """Reads the supervisor's events until it is cancelled."""
    async for event in packages.supervisor.exits():
        try:
            handle(packages, event)
        except (HoldfastError, OSError):  # a full disk: the record is right in memory, and written with the next change
            _LOG.exception("cannot handle %r", event)


def handle(packages: Packages, event: Event) -> None:
    """One event, at once."""
    try:
        container = packages.containers.find(event.container_id)
    except NotFound:
        return
    if isinstance(event, Detached):
        if event.exec_id is None:
            packages.events.publish("container", "detach", container.id, container.attributes())
        else:
            attributes = container.attributes(execID=event.exec_id)
            packages.events.publish("container", "exec_detach", container.id, attributes)
    elif isinstance(event, OutOfMemory):
        report_oom(packages, container)
    elif isinstance(event, ShimLost):
        lost = Exited(
            container_id=container.id,
            exec_id=None,
            exit_code=_KILLED,
            finished_at_nanos=time.time_ns(),
            oom_killed=False,
        )
        report(packages, container, lost, is_shim_lost=True)
    elif event.exec_id is not None:
        report_exec(packages, container, event)
    else:
        report(packages, container, event)


def report_oom(packages: Packages, container: Container) -> None:
    """A process was killed for want of memory; the container may go on."""
    if not container.state.oom_killed:
        container.state.oom_killed = True
        packages.containers.save(container)
    packages.events.publish("container", "oom", container.id, container.attributes())


def report_exec(packages: Packages, container: Container, event: Exited) -> None:
    """The end of an exec."""
    with contextlib.suppress(NotFound):
        ended = packages.containers.execs.get(event.exec_id or "")
        ended.finish(event.exit_code, event.finished_at_nanos)
        packages.events.publish(
            "container",
            "exec_die",
            container.id,
            container.attributes(execID=ended.id, exitCode=str(event.exit_code)),
        )


def report(packages: Packages, container: Container, event: Exited, *, is_shim_lost: bool = False) -> None:
    """The end of a container: record, event, everyone who waits; then the clean-up in the background."""
    record, state = container.record, container.state
    if not state.has_process:
        return
    shim, container.shim = container.shim, None
    is_oom_told, state.oom_killed = state.oom_killed, state.oom_killed or event.oom_killed
    state.exit_code, state.finished_nanos = event.exit_code, event.finished_at_nanos
    state.pid = 0
    if is_shim_lost:
        state.error = SHIM_IS_GONE
    lifetime_nanos = time.monotonic_ns() - container.begun_nanos
    delay = _restart_delay(container, lifetime_nanos)
    container.change("die" if delay is None else "restart")
    if state.health is not None:
        state.health.status = "unhealthy"
    left = [endpoint for endpoint in record.network.endpoints.values() if endpoint.endpoint_id]
    container_network.forget(record)
    for each in packages.containers.execs.of(container.id):
        if each.is_running:
            each.finish(_KILLED, event.finished_at_nanos)
        elif not each.was_started:
            packages.containers.execs.forget([each.id])
    is_saved = _goes(container) or _is_saved(packages, container)
    if event.oom_killed and not is_oom_told:
        packages.events.publish("container", "oom", container.id, container.attributes())
    packages.events.publish(
        "container",
        "die",
        container.id,
        container.attributes(exitCode=str(event.exit_code), execDuration=str(max(0, lifetime_nanos) // _SECOND)),
    )
    health.stop(container)
    container.report_exit()
    leaving = packages.background.start(_leave(packages, container), f"network of {container.id[:12]}")
    container.cleanup = packages.background.start(
        _clean_up(packages, container, shim if is_saved else None, left, leaving, is_shim_lost=is_shim_lost),
        f"clean-up of {container.id[:12]}",
    )
    if not is_saved:
        packages.background.start(_save_later(packages, container, shim), f"record of {container.id[:12]}")
    if delay is not None:
        container.restart_task = packages.background.start(
            _restart_later(packages, container, delay), f"restart of {container.id[:12]}"
        )
    elif _goes(container):
        packages.background.start(remove_ended(packages, container), f"removal of {container.id[:12]}")


async def _clean_up(
    packages: Packages,
    container: Container,
    shim: Shim | None,
    left: Sequence[EndpointSettings],
    leaving: asyncio.Task[None],
    *,
    is_shim_lost: bool,
) -> None:
    """Takes down what the process had; `left` are the networks that it was in, and that it is `leaving` meanwhile."""
    sandbox = packages.networks.controller.sandbox(container.id)
    if shim is not None:
        await shim.close()
    if sandbox is not None and sandbox.is_public:
        await asyncio.shield(leaving)
    sandbox_files.release(packages, container.record)
    for endpoint in left:
        container_network.publish_event(packages, "disconnect", endpoint, container.id)
    await mounting.detach(packages, container)
    volume_events.publish_unmounts(packages.events, container)
    if is_shim_lost:
        await asyncio.to_thread(leftovers.kill, packages, container)


async def _leave(packages: Packages, container: Container) -> None:
    """Takes its network down. Whatever is asked of networks next is asked after it: they live in one thread."""
    try:
        await packages.networks.disconnect(container.id)
    except HoldfastError as error:
        _LOG.warning("network of %s: %s", container.id[:12], error.message)


def _goes(container: Container) -> bool:
    """Whether it is removed now, as `--rm` has it; its end need not be on record: who finds it without a shim removes it."""
    return container.record.host_config.auto_remove and not container.restarts_by_user


def _is_saved(packages: Packages, container: Container) -> bool:
    """Writes the record; a full disk must not keep an exit from those who wait for it."""
    try:
        packages.containers.save(container)
    except HoldfastError as error:
        _LOG.error("the end of %s is not on record yet: %s", container.id[:12], error.message)
        return False
    return True


async def _save_later(packages: Packages, container: Container, shim: Shim | None) -> None:
    """Tries until there is room; until then the shim's exit file keeps what happened."""
    while container.id in packages.containers.names.values() and not container.state.has_process:
        await asyncio.sleep(_SAVE_SECONDS)
        if _is_saved(packages, container):
            break
    if shim is not None:
        await shim.close()


def _restart_delay(container: Container, lifetime_nanos: int) -> float | None:
    """Seconds until the policy starts it again, None when it does not."""
    if container.restarts_by_user:
        return None
    record = container.record
    if not restart_policy.wants_restart(
        record.host_config.restart_policy,
        exit_code=record.state.exit_code,
        count=record.restart_count,
        was_stopped_by_user=record.was_stopped_by_user,
    ):
        return None
    delay, container.fast_restarts = restart_policy.next_delay(container.fast_restarts, lifetime_nanos)
    return delay


async def _restart_later(packages: Packages, container: Container, delay: float) -> None:
    await asyncio.sleep(delay)
    container.restart_task = None  # from here on it is the lock that orders us and a stop
    async with container.lock:
        await container.settle()
        if container.state.status != "restarting" or container.record.is_removing:
            return
        container.record.restart_count += 1
        try:
            await start_locked(packages, container)
        except HoldfastError as error:
            _LOG.warning("restart of %s failed: %s", container.id[:12], error.message)
            container.report_exit()
