# SPDX-License-Identifier: Apache-2.0
"""`docker tag`: another name for an image. Called by `api.routes.images`."""

from __future__ import annotations

import asyncio

from holdfast import images
from holdfast.engine.events import Events
from holdfast.engine.image_events import publish
from holdfast.oci.reference import Reference


async def tag(*, store: images.Store, events: Events, name: str, target: Reference) -> None:
    """Gives the image the name; whoever had it loses it. NotFound."""
    image = await asyncio.to_thread(store.tag, name, str(target))
    publish(events, store, "tag", image.id, target.familiar)
