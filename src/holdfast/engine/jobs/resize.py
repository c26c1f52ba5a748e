# SPDX-License-Identifier: Apache-2.0
"""The size of a container's or an exec's terminal. Called by `api.routes.containers` and `api.routes.exec`."""

from __future__ import annotations

from holdfast.containers import Containers
from holdfast.engine.events import Events
from holdfast.errors import Conflict, NotFound


async def resize(*, containers: Containers, events: Events, reference: str, height: int, width: int) -> None:
    """Sets rows and columns; Conflict when the container does not run. One without a terminal has nothing to set."""
    container = containers.find(reference)
    shim = container.require_shim()
    if container.record.config.tty:
        await shim.resize(height, width)
    events.publish("container", "resize", container.id, container.attributes(height=str(height), width=str(width)))


async def resize_exec(*, containers: Containers, exec_id: str, height: int, width: int) -> None:
    """The same for an exec; Conflict when its container does not run, NotFound when it does not run itself."""
    found = containers.execs.get(exec_id)
    shim = containers.find(found.container_id).require_shim()
    if not found.is_running:
        raise NotFound(f"NotFound: process does not exist {exec_id}: not found")
    try:
        await shim.resize(height, width, exec_id)
    except Conflict:
        if found.config.tty:
            raise
