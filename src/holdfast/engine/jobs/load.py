# SPDX-License-Identifier: Apache-2.0
"""`docker load`: every image of an archive. Called by `api.routes.images`. Source: Engine API v1.51 ImageLoad."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

from holdfast import images
from holdfast.engine.events import Events
from holdfast.engine.image_events import publish
from holdfast.engine.progress import Progress
from holdfast.engine.streams import feed
from holdfast.images import archive_load
from holdfast.oci.platform import Platform


async def load(
    *,
    store: images.Store,
    events: Events,
    archive: AsyncIterator[bytes],
    progress: Progress,
    is_quiet: bool = False,
    platform: Platform | None = None,
) -> list[str]:
    """Brings the images of the archive in and returns their names; all or none of them are there afterwards.

    With a platform, the images for that one.

    When quiet only the lines about whole images are told.
    """

    def tell(message: Mapping[str, Any]) -> None:
        if not is_quiet or "stream" in message:
            progress(message)

    names = await feed(archive, lambda source: archive_load.load(store, source, tell, platform))
    for name in names:
        image = store.get(name)
        publish(events, store, "load", image.id, image.id)
    return names
