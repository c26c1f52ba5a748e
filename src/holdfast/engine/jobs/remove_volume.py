# SPDX-License-Identifier: Apache-2.0
"""`docker volume rm`. Called by `api.routes.volumes` and by the removal of containers (`rm -v`, `--rm`)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from holdfast import volumes
from holdfast.engine.events import Events


async def remove_volume(
    *, store: volumes.Store, events: Events, name: str, users: Sequence[str], force: bool = False
) -> None:
    """Deletes the volume; NotFound (unless forced), Conflict while containers (`users`) have it, forced or not."""
    removed = await asyncio.to_thread(store.remove, name, users, force=force)
    if removed is not None:
        events.publish("volume", "destroy", name, {"driver": removed.driver})
