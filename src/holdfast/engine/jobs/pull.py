# SPDX-License-Identifier: Apache-2.0
"""`docker pull`: a tag, a digest, or every tag of a repository. Called by `api.routes.images`.

Source: Engine API v1.51 ImageCreate; the warning about platforms is dockerd 28.5's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TypedDict, TypeVar

from holdfast import images
from holdfast.distribution import Cancellation, Credentials, Puller
from holdfast.distribution import progress as messages
from holdfast.engine.events import Events
from holdfast.engine.image_events import publish
from holdfast.engine.progress import Progress
from holdfast.oci import platform as platforms
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

R = TypeVar("R")


class _How(TypedDict):
    platform: Platform | None
    credentials: Credentials
    cancellation: Cancellation


async def pull(
    *,
    puller: Puller,
    store: images.Store,
    events: Events,
    reference: Reference,
    platform: Platform | None,
    credentials: Credentials,
    progress: Progress,
) -> None:
    """Makes the image present; without tag and digest all tags. Cancelled with the job, keeping what has landed."""
    cancellation = Cancellation()
    is_single = reference.tag is not None or reference.digest is not None
    how: _How = {"platform": platform, "credentials": credentials, "cancellation": cancellation}
    try:
        if is_single:
            look = await _in_thread(puller, lambda: puller.look(reference, **how))
            pull_it = partial(puller.pull, reference, progress=progress, look=look, **how)
            if look.present is None:
                await _in_thread(puller, pull_it)
            else:
                pull_it()  # has nothing to wait for
        else:
            await _in_thread(puller, lambda: puller.pull_all(reference, progress=progress, **how))
    finally:
        cancellation.cancel()
    publish(events, store, "pull", reference.familiar, reference.familiar_name)
    if is_single and platform is not None:
        _warn_of_platform(store, reference, platform, progress)


async def _in_thread(puller: Puller, work: Callable[[], R]) -> R:
    return await asyncio.wrap_future(puller.start(work))


def _warn_of_platform(store: images.Store, reference: Reference, wanted: Platform, progress: Progress) -> None:
    has = store.get(reference.familiar).config.platform
    if not platforms.is_match(wanted, has):
        progress(
            messages.status(
                f"WARNING: image with reference {reference.familiar} was found but its platform ({has}) does not "
                f"match the specified platform ({wanted})"
            )
        )
