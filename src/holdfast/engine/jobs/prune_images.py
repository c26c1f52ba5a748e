# SPDX-License-Identifier: Apache-2.0
"""`docker image prune`: images without a name, or all that no container uses. Called by `api.routes.images`.

Source: Engine API v1.51 ImagePrune; dockerd 28.5.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from holdfast import images
from holdfast.engine import filtering
from holdfast.engine.events import Events
from holdfast.engine.filtering import Filters
from holdfast.engine.jobs.list_images import wanted
from holdfast.engine.jobs.remove_image import remove_image
from holdfast.errors import Conflict, InvalidArgument, NotFound

if TYPE_CHECKING:
    from holdfast.containers.record import Record

KEYS = frozenset(("dangling", "label", "label!", "until"))


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, and the bytes of the images that did."""

    removed: list[images.Removed]
    freed_bytes: int


async def prune_images(*, store: images.Store, events: Events, records: Collection[Record], filters: Filters) -> Pruned:
    """Deletes what no container uses; with `dangling=false` named images as well.

    Of the names of an image in use the last stays.
    """
    filtering.check(filters, KEYS)
    if len(filters.get("until", ())) > 1:
        raise InvalidArgument("more than one until filter specified")
    is_dangling = filtering.boolean(filters, "dangling", True)
    others = {key: values for key, values in filters.items() if key != "dangling"}
    removed: list[images.Removed] = []
    freed = 0
    for image in store.list(wanted(store, others)):
        names = sorted((*image.repo_tags, *image.repo_digests))
        if is_dangling and image.repo_tags:
            continue
        if (is_dangling or not names) and store.children(image.id):
            continue
        for name in names or [image.id]:
            try:
                gone = await remove_image(
                    store=store, events=events, records=records, name=name, force=False, keep_parents=False
                )
            except (NotFound, Conflict):
                continue
            removed += gone
            freed += image.size if any(item.deleted == image.id for item in gone) else 0
    events.publish("image", "prune", "", {"reclaimed": str(freed)})
    return Pruned(removed, freed)
