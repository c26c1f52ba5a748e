# SPDX-License-Identifier: Apache-2.0
"""`docker push`: a tag, or every tag of a repository. Called by `api.routes.images`.

Source: Engine API v1.51 ImagePush; texts of dockerd 28.5.
"""

from __future__ import annotations

import asyncio
from functools import partial

from holdfast import images
from holdfast.distribution import Cancellation, Credentials, Pusher, push_plan
from holdfast.engine import image_platform
from holdfast.engine.events import Events
from holdfast.engine.image_events import publish
from holdfast.engine.progress import Progress
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference


async def push(
    *,
    pusher: Pusher,
    store: images.Store,
    events: Events,
    reference: Reference,
    platform: Platform | None,
    credentials: Credentials,
    progress: Progress,
) -> None:
    """Brings the image to its registry; without a tag all tags, with a platform only that of an index. Cancelled with the job."""
    cancellation = Cancellation()
    try:
        await asyncio.wrap_future(
            pusher.start(
                partial(
                    pusher.push,
                    reference,
                    platform=platform,
                    credentials=credentials,
                    progress=progress,
                    cancellation=cancellation,
                )
            )
        )
    finally:
        cancellation.cancel()
    publish(events, store, "push", reference.familiar, reference.familiar_name)


def check_platform(store: images.Store, reference: Reference, wanted: Platform) -> None:
    """NotFound when the image that would be pushed, or all that is here of its index, is for another platform."""
    tagged = reference.with_default_tag()
    tree = push_plan.find_tree(store.index_of(tagged), store.content)
    if tree is not None:
        push_plan.plan_platform(tree, wanted, tagged, store.content)
        return
    image_platform.check(store, tagged.familiar, wanted)
