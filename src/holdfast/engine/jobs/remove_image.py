# SPDX-License-Identifier: Apache-2.0
"""`docker rmi`: a name, or with its last name the image. Called by `api.routes.images`.

Source: Engine API v1.51 ImageDelete; events of dockerd 28.5.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from holdfast import images
from holdfast.engine.events import Events
from holdfast.errors import Corrupt

if TYPE_CHECKING:
    from holdfast.containers.record import Record
    from holdfast.oci.digest import Digest


async def remove_image(
    *,
    store: images.Store,
    events: Events,
    records: Iterable[Record],
    name: str,
    force: bool,
    keep_parents: bool,
) -> list[images.Removed]:
    """What went, in order; NotFound, Conflict in Docker's words. `records` are all containers."""
    image_id = store.resolve(name)
    labels = _labels(store, image_id)
    removed = await asyncio.to_thread(
        store.delete, name, force=force, prune_parents=not keep_parents, containers=container_uses(records)
    )
    attributes = {**labels, "name": image_id}
    for item in removed:
        if item.untagged:
            events.publish("image", "untag", image_id, attributes)
        elif item.deleted == image_id:
            events.publish("image", "delete", image_id, {"name": image_id})
    return removed


def _labels(store: images.Store, image_id: Digest) -> Mapping[str, str]:
    """A damaged image can be removed like any other; it only has no labels to tell."""
    try:
        return store.get(image_id).config.config.labels
    except Corrupt:
        return {}


def container_uses(records: Iterable[Record]) -> list[images.ContainerUse]:
    """The containers as the image store wants them told."""
    return [use for record in records for use in _uses(record)]


def _uses(record: Record) -> Iterator[images.ContainerUse]:
    yield images.ContainerUse(record.id, record.image_id, record.state.is_running)
    for point in record.mounts:
        if point.type == "image":  # its layers stay whatever becomes of the image, so force is enough
            yield images.ContainerUse(record.id, point.source, False)
