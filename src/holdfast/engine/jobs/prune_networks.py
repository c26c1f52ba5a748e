# SPDX-License-Identifier: Apache-2.0
"""`docker network prune`: the user's own networks that nobody is in. Called by `api.routes.networks`.

Source: Engine API v1.51 NetworkPrune, moby 28 `daemon/prune.go`.
"""

from __future__ import annotations

import logging
from datetime import datetime

from holdfast.engine import filtering
from holdfast.engine.events import Events
from holdfast.engine.filtering import Filters
from holdfast.engine.flusher import Flusher
from holdfast.engine.networking import NetworkWorker
from holdfast.errors import HoldfastError
from holdfast.networks import Network

KEYS = frozenset(("label", "label!", "until"))
_LOG = logging.getLogger("holdfast.engine")


async def prune_networks(
    *, networks: NetworkWorker, flusher: Flusher, events: Events, filters: Filters, until_nanos: int | None
) -> list[str]:
    """Removes them and returns their names; InvalidArgument for an unknown filter."""
    filtering.check(filters, KEYS)

    def prune() -> list[Network]:
        removed: list[Network] = []
        for network in networks.controller.networks():
            if not _fits(network, filters, until_nanos) or networks.controller.members(network.network_id):
                continue
            try:
                removed.append(networks.controller.remove(network.network_id))
            except HoldfastError as error:
                _LOG.warning("network %s was not pruned: %s", network.name, error.message)
        return removed

    removed = await networks.run(prune)
    flusher.begin()
    for network in removed:
        events.publish("network", "destroy", network.network_id, {"name": network.name, "type": network.driver})
    events.publish("network", "prune", "", {"reclaimed": "0"})
    return [network.name for network in removed]


def _fits(network: Network, filters: Filters, until_nanos: int | None) -> bool:
    return (
        not network.is_predefined
        and not network.config_only
        and (until_nanos is None or _created_seconds(network) * 1_000_000_000 < until_nanos)
        and filtering.has_labels(network.labels, filters.get("label", ()))
        and filtering.has_no_label(network.labels, filters.get("label!", ()))
    )


def _created_seconds(network: Network) -> float:
    """The fraction is cut to the six digits that `datetime` reads."""
    return datetime.fromisoformat(network.created_at[:26] + "+00:00").timestamp()
