# SPDX-License-Identifier: Apache-2.0
"""`docker network ls`. Called by `api.routes.networks`. Source: Engine API v1.51 NetworkList."""

from __future__ import annotations

from holdfast.engine import filtering
from holdfast.engine.filtering import Filters
from holdfast.engine.networking import NetworkWorker
from holdfast.errors import InvalidArgument
from holdfast.networks import Network

KEYS = frozenset(("dangling", "driver", "id", "label", "name", "scope", "type"))
_TYPES = frozenset(("builtin", "custom"))


async def list_networks(*, networks: NetworkWorker, filters: Filters) -> list[Network]:
    """The networks that fit; `dangling` are a user's own without a container."""
    filtering.check(filters, KEYS)
    is_dangling = filtering.boolean(filters, "dangling", None)
    types = filters.get("type", ())
    for kind in types:
        if kind not in _TYPES:
            raise InvalidArgument(f"invalid filter: 'type'='{kind}'")

    def pick() -> list[Network]:
        controller = networks.controller
        return [
            network
            for network in controller.networks()
            if _fits(network, filters)
            and (not types or ("builtin" if network.is_predefined else "custom") in types)
            and (
                is_dangling is None
                or is_dangling is not (network.is_predefined or bool(controller.members(network.network_id)))
            )
        ]

    return await networks.run(pick)


def _fits(network: Network, filters: Filters) -> bool:
    ids = filters.get("id", ())
    return (
        filtering.is_match(network.name, filters.get("name", ()))
        and (not ids or any(network.network_id.startswith(part) for part in ids))
        and network.driver in (filters.get("driver") or (network.driver,))
        and "local" in (filters.get("scope") or ("local",))
        and filtering.has_labels(network.labels, filters.get("label", ()))
    )
