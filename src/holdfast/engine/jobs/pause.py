# SPDX-License-Identifier: Apache-2.0
"""`docker pause` and `docker unpause`. Called by `api.routes.containers`."""

from __future__ import annotations

from holdfast.containers import Containers
from holdfast.engine.events import Events
from holdfast.errors import Conflict


async def pause(*, containers: Containers, events: Events, reference: str) -> None:
    """Freezes every process; Conflict unless it runs."""
    container = containers.find(reference)
    async with container.lock:
        shim = container.require_shim()
        if container.state.status == "paused":
            raise Conflict(f"Container {container.id} is already paused")
        await shim.pause()
        if container.state.status != "running":
            return
        container.change("pause")
        containers.save(container)
    events.publish("container", "pause", container.id, container.attributes())


async def unpause(*, containers: Containers, events: Events, reference: str) -> None:
    """Thaws; Conflict unless it is paused."""
    container = containers.find(reference)
    async with container.lock:
        if container.state.status != "paused" or container.shim is None:
            raise Conflict(f"Container {container.id} is not paused")
        await container.shim.resume()
        if container.state.status != "paused":
            return
        container.change("unpause")
        containers.save(container)
    events.publish("container", "unpause", container.id, container.attributes())
