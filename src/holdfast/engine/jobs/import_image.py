# SPDX-License-Identifier: Apache-2.0
"""`docker import`: a file system's tar becomes an image. Called by `api.routes.images`.

Source: Engine API v1.51 ImageCreate with `fromSrc`; events of dockerd 28.5.
"""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Sequence

from holdfast import images
from holdfast.distribution import progress as messages
from holdfast.engine.events import Events
from holdfast.engine.image_events import publish
from holdfast.engine.progress import Progress
from holdfast.engine.streams import feed
from holdfast.images import importing
from holdfast.oci import platform as platforms
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference


async def import_image(
    *,
    store: images.Store,
    events: Events,
    archive: AsyncIterator[bytes],
    origin: str,
    target: Reference | None,
    platform: Platform | None,
    message: str,
    changes: Sequence[str],
    progress: Progress,
) -> None:
    """Makes the image, names it when there is a target, and tells its id; `origin` is the archive's URL, if any."""
    image = await feed(
        _announced(archive, origin, progress) if origin else archive,
        lambda source: importing.import_(
            store,
            source,
            platform=platform or platforms.of_machine(os.uname().machine),
            now=time.time(),
            target=str(target) if target else "",
            message=message,
            changes=changes,
        ),
    )
    progress(messages.status(image))
    if target is not None:
        publish(events, store, "tag", image, target.familiar)
    publish(events, store, "import", image, image)


async def _announced(archive: AsyncIterator[bytes], origin: str, progress: Progress) -> AsyncIterator[bytes]:
    """Says where it comes from when it has begun to come: a server that refuses is a plain error."""
    is_first = True
    async for data in archive:
        if is_first:
            progress(messages.status(f"Downloading from {origin}"))
            is_first = False
        yield data
