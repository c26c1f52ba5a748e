# SPDX-License-Identifier: Apache-2.0
"""`docker network inspect`. Called by `api.routes.networks`. Source: Engine API v1.51 NetworkInspect."""

from __future__ import annotations

from holdfast.engine.networking import NetworkWorker
from holdfast.networks import Member, Network


async def inspect_network(*, networks: NetworkWorker, name: str) -> tuple[Network, list[Member]]:
    """A network, by name, id or id prefix, and who is in it; raises NotFound."""

    def look() -> tuple[Network, list[Member]]:
        network = networks.controller.network(name)
        return network, networks.controller.members(network.network_id)

    return await networks.run(look)
