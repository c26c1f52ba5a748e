# SPDX-License-Identifier: Apache-2.0
"""`docker network create`. Called by `api.routes.networks`. Source: Engine API v1.51 NetworkCreate."""

from __future__ import annotations

import time

from holdfast.engine.events import Events
from holdfast.engine.flusher import Flusher
from holdfast.engine.networking import NetworkWorker
from holdfast.networks import Network, NetworkWish


async def create_network(*, networks: NetworkWorker, flusher: Flusher, events: Events, wish: NetworkWish) -> Network:
    """Makes a network; nothing is left of one that cannot be. Errors in Docker's words. The disk has it soon after."""
    made = await networks.run(lambda: networks.controller.create(wish, now_nanos=time.time_ns()))
    flusher.begin()
    events.publish("network", "create", made.network_id, {"name": made.name, "type": made.driver})
    return made
