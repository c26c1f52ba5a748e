# SPDX-License-Identifier: Apache-2.0
"""`docker rm`, and the end of a `--rm` container.

The record goes first; then name and id are free and those who wait are told. Files go in the background, once the
removal is on the disk, so that a power loss brings back a whole container or none; whatever a crash leaves of them is
swept at the next start. Called by `api.routes.containers` and by reap.
Source: Engine API v1.51 ContainerDelete, moby 28 `daemon/delete.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from holdfast.containers import Container
from holdfast.engine import mounting, rootfs, sandbox_files, usage
from holdfast.engine.jobs import health
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, HoldfastError, Internal, NotFound, Unavailable

_LOG = logging.getLogger("holdfast.engine")
_SIGKILL = 9
_KILL_SECONDS = 10.0


async def remove(*, packages: Packages, reference: str, force: bool = False, with_volumes: bool = False) -> None:
    """Removes a container; Conflict while it runs and `force` is not given, or while another call removes it."""
    container = packages.containers.find(reference)
    await packages.supervisor.hear_out(container.shim)
    if container.record.is_removing:
        raise Conflict(f"removal of container {reference} is already in progress")
    if not force:
        _refuse_living(container, reference)
    container.cancel_restart()
    async with container.lock:
        if container.record.is_removing:
            raise Conflict(f"removal of container {reference} is already in progress")
        if not force:
            _refuse_living(container, reference)
        container.record.is_removing, container.record.takes_volumes = True, with_volumes
        try:
            await _kill(packages, container)
            await container.settle()
            await remove_locked(packages, container, with_volumes=with_volumes)
        except BaseException as error:
            container.record.is_removing = False
            container.report_removal(str(error))
            raise


async def remove_ended(packages: Packages, container: Container, *, with_volumes: bool = True) -> None:
    """The removal that `--rm` promised, after the exit was reported; or one that the last daemon did not finish."""
    if container.record.is_removing:
        return
    async with container.lock:
        await container.settle()
        if container.record.is_removing or container.state.has_process:
            return
        container.record.is_removing, container.record.takes_volumes = True, with_volumes
        try:
            await remove_locked(packages, container, with_volumes=with_volumes)
        except BaseException as error:
            container.record.is_removing = False
            container.report_removal(str(error))
            raise


async def remove_locked(packages: Packages, container: Container, *, with_volumes: bool) -> None:
    """Takes a container without a process apart; the caller holds the lock and has set `is_removing`."""
    container.change("remove")
    health.stop(container)
    for grant in container.drop_pending():
        grant.sock.close()
    container.is_off_record = True
    points = container.record.mounts if with_volumes else []
    volumes = [point.name for point in points if point.type == "volume" and point.is_anonymous]
    try:
        if container.record.host_config.auto_remove or not volumes:
            # a volume's record goes durably before its files, and with it this one
            packages.containers.write_removed(container.id, volumes, durable=False)
        else:
            await asyncio.shield(asyncio.to_thread(packages.containers.write_removed, container.id, volumes))
    except BaseException:
        container.is_off_record = False
        container.change("fail")
        raise
    packages.containers.remove(container)
    packages.events.publish("container", "destroy", container.id, container.attributes())
    if volumes:
        await remove_volumes(packages, container.id, volumes)
    container.report_removal()
    packages.background.start(_remove_files(packages, container), f"files of {container.id[:12]}")


def _refuse_living(container: Container, reference: str) -> None:
    status = container.state.status
    if status == "paused":
        raise Conflict(f'cannot remove container "{reference}": container is paused and must be unpaused first')
    if status in ("running", "restarting"):
        raise Conflict(
            f'cannot remove container "{reference}": container is {status}: '
            "stop the container before removing or force remove"
        )


async def _kill(packages: Packages, container: Container) -> None:
    """Ends the process and waits for the report; a paused container is thawed so that it can die."""
    if container.state.status == "restarting":
        container.change("stop")
        return
    shim = container.shim
    if not container.state.has_process or shim is None:
        return
    container.record.was_stopped_by_user = True
    ended = container.expect_exit()
    try:
        with contextlib.suppress(Conflict, Unavailable):  # it has ended, or its shim has: either is reported
            await shim.kill(_SIGKILL)
            packages.events.publish("container", "kill", container.id, container.attributes(signal=str(_SIGKILL)))
            if container.state.status == "paused":
                await shim.resume()
        await asyncio.wait_for(ended, _KILL_SECONDS)
    except TimeoutError:
        raise Internal(f"cannot remove container {container.id}: could not kill it in {_KILL_SECONDS:.0f} s") from None


async def remove_volumes(packages: Packages, container_id: str, names: Sequence[str]) -> None:
    """The anonymous volumes, noted when the container's record went, that nobody else has; a new daemon goes on with it."""
    for name in names:
        users = usage.volume_users(packages.containers.list(), name)
        try:
            if not users and await asyncio.to_thread(packages.volumes.remove, name, force=True):
                packages.events.publish("volume", "destroy", name, {"driver": "local"})
        except (HoldfastError, OSError) as error:
            _LOG.warning("volume %s of %s: %s", name, container_id[:12], error)
    packages.containers.forget_left_behind(container_id)


async def _remove_files(packages: Packages, container: Container) -> None:
    try:
        await packages.flusher.flush()
    except HoldfastError as error:
        _LOG.error("files of %s stay until the next start: %s", container.id[:12], error.message)
        return
    await asyncio.to_thread(_remove_trees, packages, container)


def _remove_trees(packages: Packages, container: Container) -> None:
    """In one go: every hop to a thread wakes a processor, which costs more than most of these calls."""
    try:
        packages.snapshots.remove(container.id)
    except NotFound:
        pass
    except (HoldfastError, OSError) as error:
        _LOG.warning("snapshot of %s: %s", container.id[:12], error)
    sandbox_files.release(packages, container.record)  # of a start that a killed daemon began
    mounting.remove_views(packages, container.record)
    rootfs.remove_directory(packages.config.container_directory(container.id))
