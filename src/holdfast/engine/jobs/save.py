# SPDX-License-Identifier: Apache-2.0
"""`docker save`: images as one archive, made while it is sent. Called by `api.routes.images`.

Source: Engine API v1.51 ImageGet, ImageGetAll.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

from holdfast import images
from holdfast.engine.events import Events
from holdfast.engine.image_events import publish
from holdfast.engine.streams import Pipe, drain
from holdfast.errors import NotFound
from holdfast.images import archive_save
from holdfast.oci.platform import Platform


async def save(
    *, store: images.Store, events: Events, names: list[str], platform: Platform | None = None
) -> AsyncIterator[bytes]:
    """The archive's bytes; NotFound is raised before there are any, also for images of another platform than wanted."""
    try:
        archive = await asyncio.to_thread(archive_save.save, store, names, platform)
    except NotFound as error:
        # Docker names what it was asked for here, without the default tag
        given = next((name for name in names if error.message == f"No such image: {name}:latest"), None)
        if given is None:
            raise
        raise NotFound(f"No such image: {given}") from error
    for image, _ in archive_save.resolve(store, names):
        publish(events, store, "save", image.id, image.id)
    return _stream(store, archive)


async def _stream(store: images.Store, archive: Iterator[bytes]) -> AsyncIterator[bytes]:
    def write(pipe: Pipe) -> None:
        for chunk in archive:
            pipe.write(chunk)

    with store.content.lease():
        async for data in drain(write):
            yield data
