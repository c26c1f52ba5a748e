# SPDX-License-Identifier: Apache-2.0
"""`docker network rm`. Called by `api.routes.networks`. Source: Engine API v1.51 NetworkDelete."""

from __future__ import annotations

from holdfast.engine.events import Events
from holdfast.engine.flusher import Flusher
from holdfast.engine.networking import NetworkWorker


async def remove_network(*, networks: NetworkWorker, flusher: Flusher, events: Events, reference: str) -> None:
    """Removes a network; NotFound, Forbidden while a container is in it. The disk knows soon after."""
    removed = await networks.run(lambda: networks.controller.remove(reference))
    flusher.begin()
    if not removed.config_only:
        events.publish("network", "destroy", removed.network_id, {"name": removed.name, "type": removed.driver})
