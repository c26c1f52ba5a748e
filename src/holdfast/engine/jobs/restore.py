# SPDX-License-Identifier: Apache-2.0
"""The start of a daemon where another one left off: finds what runs, writes down what ended, sweeps what is left over.

Run once, before the first request. Nothing in it stops the start: a container that cannot be found again is shown as
what it is. Called by `daemon.wiring`. Source: architecture.md §1; moby 28 `daemon.restore` for the policies.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

from holdfast.containers import Container, restart_policy
from holdfast.engine import container_network, leftovers, mounting, rootfs, sandbox_files
from holdfast.engine.jobs import heal, health, reap
from holdfast.engine.jobs.remove import remove_ended, remove_volumes
from holdfast.engine.jobs.start import start_locked
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, NotFound
from holdfast.shim import client
from holdfast.shim.client import Exited

_LOG = logging.getLogger("holdfast.engine")
_REBOOTED = 255
_ID = re.compile("[0-9a-f]{64}")
_SIGKILL = 9
_PARTIAL_SECONDS = 7 * 24 * 3600.0
"""How long a broken-off download can be gone on with."""


async def restore(*, packages: Packages) -> None:
    """Brings memory, disk and kernel into agreement, then begins to listen to the shims."""
    for container_id in packages.containers.restore(_lost(packages)):
        _LOG.error("the record of container %s is damaged: it can only be removed", container_id)
        packages.containers.save(packages.containers.find(container_id))
    for name in packages.images.damaged:
        _LOG.error("the record %s is damaged and not used", name)
    for note in await packages.networks.run(packages.networks.controller.start):
        _LOG.warning("%s", note)
    if not await packages.spawner.settle():
        _LOG.error("a container's start that the last daemon began is not over yet")
    half_removed = {container.id for container in packages.containers if _was_being_removed(container)}
    found = await asyncio.gather(*(_find(packages, each) for each in packages.containers), return_exceptions=True)
    for container, error in zip(packages.containers, found, strict=True):
        if error is not None:
            _LOG.error("container %s was not found again", container.id[:12], exc_info=error)
    await _end_strangers(packages)
    await asyncio.to_thread(mounting.adopt, packages)
    still = [each for each in packages.containers if not each.state.has_process and not each.record.damage]
    await asyncio.to_thread(_mend, packages, still)
    for container_id, names in packages.containers.left_behind().items():
        await remove_volumes(packages, container_id, names)
    await _sweep(packages)
    packages.background.start_endless(reap.reap_forever(packages), "reaper")  # not earlier: it removes, too
    packages.background.start_endless(heal.heal_forever(packages), "healer")
    live = {container.id for container in packages.containers if container.state.has_process}
    for removed in await packages.networks.reconcile(live):
        _LOG.info("put the network right: %s", removed)
    packages.networks.watch()
    for container in packages.containers:
        if container.state.has_process:
            await _settle_network(packages, container)
    for container in packages.containers:
        if container.id in half_removed and not container.state.has_process:
            with_volumes = container.record.host_config.auto_remove or container.record.takes_volumes
            work = remove_ended(packages, container, with_volumes=with_volumes)
            packages.background.start(work, f"removal of {container.id[:12]}")
        else:
            _resume(packages, container)


async def _settle_network(packages: Packages, container: Container) -> None:
    """A connect or a disconnect that died with its daemon is carried out; one that was never begun changes nothing."""
    try:
        request, _ = container_network.request_of(packages, container)
        found = packages.networks.controller.sandbox(container.id)
        if found is not None and not request.mode.startswith("container:"):
            attachment = await packages.networks.run(lambda: packages.networks.controller.change(request))
            container.record.network = container_network.state_of(container.record, attachment)
    except HoldfastError as error:
        _LOG.warning("network of %s: %s", container.id[:12], error.message)


def _lost(packages: Packages) -> list[str]:
    """Containers that are on disk while the database, which was damaged or is gone, does not know them any more.

    They are shown as damaged, and those that run go on: no process is ended because a file of ours was lost.
    """
    aside, was_empty = packages.metadata.moved_aside, packages.metadata.was_empty
    root = packages.config.data_root / "containers"
    if aside is None and not was_empty:
        return []
    found = [name for name in os.listdir(root) if _ID.fullmatch(name)] if root.is_dir() else []
    if aside is not None:
        _LOG.error("metadata.db was damaged: what could be read was taken over, the damaged file is %s", aside)
    elif found:
        _LOG.error("metadata.db is gone or empty: put the file back, or stop and remove the %d containers", len(found))
    return found


def _was_being_removed(container: Container) -> bool:
    """Frees a container from a removal that died with its daemon, or nobody could remove it any more."""
    found = container.record.is_removing or container.state.status == "removing"
    container.record.is_removing = False
    if container.state.status == "removing":
        container.change("fail")
    return found


async def _find(packages: Packages, container: Container) -> None:
    """One container: its shim, or its exit, or neither."""
    directory = packages.config.shim_directory(container.id)
    state = container.state
    if not _exists(directory):
        if state.is_running:
            _write_exit(packages, container, _exit(container.id, _REBOOTED))
        return
    try:
        shim = await packages.supervisor.adopt(container.id, directory)
    except (HoldfastError, OSError):
        await _find_exit(packages, container)
        return
    container.shim = shim
    state.status = "paused" if shim.is_paused else "running"
    state.pid, state.started_nanos, state.finished_nanos = shim.pid, shim.started_at_nanos, 0
    container.begun_nanos = time.monotonic_ns() - max(0, time.time_ns() - shim.started_at_nanos)
    container.record.was_started = True
    packages.containers.save(container)
    health.begin(packages, container, is_found_again=True)


async def _find_exit(packages: Packages, container: Container) -> None:
    """A shim that is gone: it wrote how the container ended, or it was killed and left its container alone."""
    directory = packages.config.shim_directory(container.id)
    ended = None
    try:
        ended = client.read_exit(str(directory))
    except (HoldfastError, OSError, KeyError) as error:
        _LOG.warning("exit of %s: %s", container.id[:12], error)
    if ended is None:
        await asyncio.to_thread(leftovers.kill, packages, container)
    if container.state.is_running:
        _write_exit(packages, container, ended or _exit(container.id, 137))
        if ended is None:
            container.state.error = reap.SHIM_IS_GONE
            packages.containers.save(container)
    await asyncio.to_thread(rootfs.remove_directory, directory)


def _exists(directory: Path) -> bool:
    return directory.is_dir()


def _exit(container_id: str, code: int) -> Exited:
    return Exited(
        container_id=container_id, exec_id=None, exit_code=code, finished_at_nanos=time.time_ns(), oom_killed=False
    )


def _write_exit(packages: Packages, container: Container, ended: Exited) -> None:
    """What `reap.report` does, without anyone to tell; the policy is asked later."""
    state = container.state
    if state.status == "restarting":
        container.change("stop")
    else:
        container.change("die")
        state.exit_code, state.finished_nanos, state.oom_killed = (
            ended.exit_code,
            ended.finished_at_nanos,
            ended.oom_killed,
        )
    state.pid = 0
    container_network.forget(container.record)
    sandbox_files.release(packages, container.record)
    packages.containers.save(container)
    packages.events.publish(
        "container", "die", container.id, container.attributes(exitCode=str(state.exit_code), execDuration="0")
    )


async def _end_strangers(packages: Packages) -> None:
    """Shims of containers that nobody knows: their creation or removal was cut short."""
    root = packages.config.exec_root / "shims"
    if not root.is_dir():
        return
    for name in os.listdir(root):
        try:
            packages.containers.find(name)
            continue
        except NotFound:
            pass
        try:
            shim = await client.adopt(name, str(root / name))
            await shim.kill(_SIGKILL, all=True)
            await shim.close()
        except (HoldfastError, OSError) as error:
            _LOG.warning("left-over shim %s: %s", name[:12], error)
        await asyncio.to_thread(rootfs.remove_directory, root / name)


async def _sweep(packages: Packages) -> None:
    """What the last daemon has removed and not told the disk must be there before files go."""
    try:
        await packages.flusher.flush()
    except HoldfastError as error:
        _LOG.error("what the last daemon left is not swept away: %s", error.message)
        return
    await asyncio.to_thread(_sweep_files, packages, {container.id for container in packages.containers})


def _mend(packages: Packages, containers: Sequence[Container]) -> None:
    """Files of containers that a power loss took, for they are synced with the rest of the file system only. Blocks."""
    for container in containers:
        record = container.record
        try:
            if packages.snapshots.mend(record.id, record.chain_id, is_blank=not record.was_started):
                _LOG.warning("the files of container %s were damaged and have been mended", record.id[:12])
                if not record.was_started:
                    rootfs.mark(packages.snapshots.mounts(record.id))
            mounting.mend_views(packages, record)
        except (HoldfastError, OSError) as error:
            _LOG.error("container %s cannot be mended: %s", record.id[:12], error)


def _sweep_files(packages: Packages, known: set[str]) -> None:
    """Snapshots and directories of containers that do not exist, and downloads nobody came back for. Blocks."""
    try:
        packages.snapshots.purge(lambda key: key.partition("-")[0] in known)  # with the views of images
        packages.content.purge(time.time() - _PARTIAL_SECONDS)
    except (HoldfastError, OSError) as error:
        _LOG.error("what the last daemon left cannot be swept away: %s", error)
    root = packages.config.data_root / "containers"
    if root.is_dir():
        for name in os.listdir(root):
            if name not in known:
                rootfs.remove_directory(root / name)


def _resume(packages: Packages, container: Container) -> None:
    """`--rm` and restart policies of what does not run."""
    record = container.record
    if record.state.is_running or record.damage:
        return
    if record.host_config.auto_remove and record.was_started:
        packages.background.start(remove_ended(packages, container), f"removal of {container.id[:12]}")
    elif record.was_started and restart_policy.wants_start_with_daemon(
        record.host_config.restart_policy,
        exit_code=record.state.exit_code,
        count=record.restart_count,
        was_stopped_by_user=record.was_stopped_by_user,
    ):
        packages.background.start(_start(packages, container), f"start of {container.id[:12]}")


async def _start(packages: Packages, container: Container) -> None:
    async with container.lock:
        await container.settle()
        if container.state.is_running or container.record.is_removing:
            return
        try:
            await start_locked(packages, container)
        except HoldfastError as error:
            _LOG.warning("container %s was not started again: %s", container.id[:12], error.message)
