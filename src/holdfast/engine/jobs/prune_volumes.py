# SPDX-License-Identifier: Apache-2.0
"""`docker volume prune`. Called by `api.routes.volumes`. Source: Engine API v1.51 VolumePrune."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from dataclasses import dataclass

from holdfast import volumes
from holdfast.engine import filtering
from holdfast.engine.events import Events
from holdfast.engine.filtering import Filters
from holdfast.errors import Conflict, InvalidArgument, NotFound

KEYS = frozenset(("label", "label!", "all"))


@dataclass(frozen=True, slots=True)
class Pruned:
    """The names that went and the bytes that they held."""

    names: list[str]
    freed_bytes: int


async def prune_volumes(
    *, store: volumes.Store, events: Events, in_use: Set[str], filters: Filters, named_too: bool
) -> Pruned:
    """Deletes anonymous volumes that no container mounts; with `named_too`, or the filter `all`, named ones as well.

    Volumes with options or a plugin's are not touched: what they hold may not be ours.
    """
    filtering.check(filters, KEYS)
    said = sorted({*filters.get("all", ()), *(("true",) if named_too else ())})
    if len(said) > 1:
        raise InvalidArgument(f"invalid filter 'all=[{' '.join(said)}]': only one value is expected")
    takes_named = bool(filtering.boolean(filters, "all", named_too))
    names: list[str] = []
    freed = 0
    for volume in store.list():
        is_wanted = (
            volume.is_plain
            and volume.name not in in_use
            and (takes_named or volume.is_anonymous)
            and filtering.has_labels(volume.labels, filters.get("label", ()))
            and filtering.has_no_label(volume.labels, filters.get("label!", ()))
        )
        if not is_wanted:
            continue
        try:
            size = await asyncio.to_thread(store.size_bytes, volume.name)
            is_gone = await asyncio.to_thread(store.remove, volume.name, force=True)
        except (Conflict, NotFound):  # somebody has just taken it, in one way or the other
            continue
        if is_gone:
            freed += size
            names.append(volume.name)
            events.publish("volume", "destroy", volume.name, {"driver": volume.driver})
    events.publish("volume", "prune", "", {"reclaimed": str(freed)})
    return Pruned(names, freed)
