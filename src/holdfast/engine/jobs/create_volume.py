# SPDX-License-Identifier: Apache-2.0
"""`docker volume create`: a named volume, or an anonymous one. Called by `api.routes.volumes`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from holdfast import volumes
from holdfast.engine.events import Events


async def create_volume(
    *,
    store: volumes.Store,
    events: Events,
    name: str,
    driver: str = "",
    labels: Mapping[str, str] | None = None,
    options: Mapping[str, str] | None = None,
) -> volumes.Volume:
    """The volume, made or found; an event only when it was made."""
    volume, is_new = await asyncio.to_thread(store.create, name, driver=driver, labels=labels, options=options)
    if is_new:
        events.publish("volume", "create", volume.name, {"driver": volume.driver})
    return volume
