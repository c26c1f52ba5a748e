# SPDX-License-Identifier: Apache-2.0
"""`docker update`: other limits and another restart policy, for a container that may run.

Called by `api.routes.containers`. Source: Engine API v1.51 ContainerUpdate, moby 28 `daemon/update.go`.
"""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from holdfast.containers import resources, validation
from holdfast.containers.config import HostConfig
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, Unavailable

_NUMBERS = (
    "cpu_shares",
    "blkio_weight",
    "cpu_period",
    "cpu_quota",
    "cpu_realtime_period",
    "cpu_realtime_runtime",
    "nano_cpus",
    "memory_reservation",
    "cpuset_cpus",
    "cpuset_mems",
    "memory",
    "memory_swap",
)


async def update(*, packages: Packages, reference: str, wish: HostConfig, has_policy: bool) -> list[str]:
    """Changes what the wish names (zero and empty leave as it is); returns warnings."""
    container = packages.containers.find(reference)
    validation.check_restart(wish)
    warnings = validation.check_resources(wish, packages.machine, is_update=True)
    async with container.lock:
        if container.record.is_removing or container.state.status in ("removing", "dead"):
            raise Conflict(
                f'Cannot update container {container.id}: Container is marked for removal and cannot be "update".'
            )
        host = msgspec.structs.replace(container.record.host_config)
        try:
            _merge(host, wish)
        except Conflict as error:
            raise Conflict(f"Cannot update container {container.id}: {error.message}") from None
        validation.check_resources(host, packages.machine)
        if has_policy and wish.restart_policy.name:
            if host.auto_remove and wish.restart_policy.name != "no":
                raise Conflict(
                    f"Cannot update container {container.id}: "
                    "Restart policy cannot be updated because AutoRemove is enabled for the container"
                )
            host.restart_policy = wish.restart_policy
        if container.state.has_process and container.shim is not None:
            with contextlib.suppress(Conflict, Unavailable):  # it has just ended: they count from its next start on
                await container.shim.update(_limits(host, wish))
        container.record.host_config = host
        await asyncio.shield(asyncio.to_thread(packages.containers.write, container.record))
        packages.containers.save(container)  # an end that was written down meanwhile may have been overtaken
    packages.events.publish("container", "update", container.id, container.attributes())
    return warnings


def _limits(host: HostConfig, wish: HostConfig) -> dict[str, object]:
    """What the kernel is told; "no limit" is said aloud only when one may have to go."""
    limits = resources.compile_limits(host)
    if wish.pids_limit is not None and not host.pids_limit:
        limits["pids"] = {"limit": -1}
    return limits


def _merge(host: HostConfig, wish: HostConfig) -> None:
    for member, word in (("cpu_period", "CPU Period"), ("cpu_quota", "CPU Quota")):
        if wish.nano_cpus and getattr(host, member):
            raise Conflict(f"Conflicting options: Nano CPUs cannot be updated as {word} has already been set")
        if getattr(wish, member) and host.nano_cpus:
            raise Conflict(f"Conflicting options: {word} cannot be updated as NanoCPUs has already been set")
    if wish.memory and not wish.memory_swap and 0 <= host.memory_swap < wish.memory:
        raise Conflict(
            "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time"
        )
    for member in _NUMBERS:
        value = getattr(wish, member)
        if value:
            setattr(host, member, value)
    if wish.pids_limit is not None:
        host.pids_limit = max(0, wish.pids_limit)
