# SPDX-License-Identifier: Apache-2.0
"""`docker volume ls`. Called by `api.routes.volumes`. Source: Engine API v1.51 VolumeList."""

from __future__ import annotations

import asyncio
from collections.abc import Set

from holdfast import volumes
from holdfast.engine import filtering
from holdfast.engine.filtering import Filters

KEYS = frozenset(("dangling", "driver", "label", "name"))


async def list_volumes(
    *, store: volumes.Store, in_use: Set[str], filters: Filters
) -> tuple[list[volumes.Volume], list[str]]:
    """The volumes that fit, in the order of their names, and warnings; `dangling` are those that no container mounts."""
    filtering.check(filters, KEYS)
    is_dangling = filtering.boolean(filters, "dangling", None)
    drivers = filters.get("driver", ())
    found, warnings = await asyncio.to_thread(store.survey)
    fitting = [
        volume
        for volume in found
        if (is_dangling is None or is_dangling is (volume.name not in in_use))
        and (not drivers or volume.driver in drivers)
        and filtering.has_labels(volume.labels, filters.get("label", ()))
        and filtering.is_match(volume.name, filters.get("name", ()))
    ]
    return fitting, warnings
