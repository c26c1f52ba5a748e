# SPDX-License-Identifier: Apache-2.0
"""`docker diff`: which paths the container added, changed, deleted. Called by `api.routes.container_archives`.

Reads the container's own layer where it lies, mounted or not. Source: Engine API v1.51 ContainerChanges.
"""

from __future__ import annotations

import asyncio

from holdfast.engine.packages import Packages
from holdfast.errors import NotFound
from holdfast.snapshots import changes as listing
from holdfast.snapshots.changes import Change


async def changes(*, packages: Packages, reference: str) -> list[Change]:
    """Parents before what is in them."""
    container = packages.containers.find(reference)
    container.require_sound()

    def work() -> list[Change]:
        try:
            return listing.list_changes(listing.trees(packages.snapshots, container.id))
        except FileNotFoundError:
            raise NotFound(f"No such container: {reference}") from None

    return await asyncio.to_thread(work)
