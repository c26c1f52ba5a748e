# SPDX-License-Identifier: Apache-2.0
"""`docker commit`: a container becomes an image. Called by `api.routes.commit`.

The container is paused meanwhile unless the caller says otherwise, and its lock is held, so that it is not removed.
Source: Engine API v1.51 ImageCommit; events of dockerd 28.5.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

import msgspec

from holdfast.containers import Container, signals
from holdfast.containers.config import Config
from holdfast.engine import image_events
from holdfast.engine.jobs.pause import pause, unpause
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, NotFound
from holdfast.images import committing
from holdfast.images.changes import apply_changes
from holdfast.kernel import mount
from holdfast.oci.image import RunConfig
from holdfast.oci.reference import Reference
from holdfast.snapshots import changes as listing
from holdfast.snapshots import diff
from holdfast.snapshots.tar.writer import Writable


async def commit(
    *,
    packages: Packages,
    reference: str,
    target: Reference | None,
    author: str,
    comment: str,
    changes: Sequence[str],
    config: Config | None,
    is_paused: bool,
) -> str:
    """Makes the image, tells its id. `config` is what the image says instead of the container's own configuration."""
    container = packages.containers.find(reference)
    container.require_sound()
    record = container.record
    own = run_config(record.config)
    wish = apply_changes(run_config(config) if config is not None else own, changes)
    if wish.stop_signal:
        signals.parse(wish.stop_signal)
    run = committing.merged(wish, own)
    parent = packages.images.get(record.image_id)
    now = time.time_ns()

    def work() -> str:
        return committing.commit(
            packages.images,
            parent,
            lambda layer: _write_layer(packages, container, layer),
            run,
            attempt=f"{container.id}-{now}",
            now=now / 1e9,
            created_by=" ".join(own.cmd or ()),
            author=author,
            comment=comment,
            target=str(target) if target else "",
        )

    async with standing_still(packages, container, wanted=is_paused):
        async with container.lock:
            if record.is_removing:
                raise Conflict(f"You cannot commit container {container.id} which is being removed")
            image = await asyncio.shield(asyncio.to_thread(work))
        _tell(packages, container, image, target, comment)
    return image


def run_config(config: Config) -> RunConfig:
    """A container's configuration as an image's."""
    members: dict[str, Any] = {name: value for name, value in msgspec.to_builtins(config).items() if value is not None}
    for name in ("Cmd", "Entrypoint", "Shell"):
        if isinstance(members.get(name), str):
            members[name] = [members[name]]
    return msgspec.convert(members, RunConfig)


@asynccontextmanager
async def standing_still(packages: Packages, container: Container, *, wanted: bool) -> AsyncGenerator[None]:
    """Paused for the block, unless it does not run, is paused already, or ends just now."""
    if not wanted or container.state.status != "running":
        yield
        return
    is_ours = False
    with suppress(Conflict, NotFound):
        await pause(containers=packages.containers, events=packages.events, reference=container.id)
        is_ours = True
    try:
        yield
    finally:
        with suppress(Conflict, NotFound):  # it has been killed meanwhile
            if is_ours:
                await unpause(containers=packages.containers, events=packages.events, reference=container.id)


def _write_layer(packages: Packages, container: Container, target: Writable) -> None:
    """The container's own layer, read through a mount on which no device can be opened."""
    trees = listing.trees(packages.snapshots, container.id)
    if trees.is_whole:
        diff.write_changes(trees.lowers[0], trees.upper, target)
        return
    fd = mount.clone(trees.upper)
    try:
        mount.set_attributes(fd, add=mount.ATTR_NODEV, propagation=mount.MS_PRIVATE)
        own_upper = f"/proc/self/fd/{fd}/."
        diff.write_layer(own_upper, target, listing.hidden(trees._replace(upper=own_upper)))
    finally:
        os.close(fd)


def _tell(packages: Packages, container: Container, image: str, target: Reference | None, comment: str) -> None:
    events, store = packages.events, packages.images
    image_events.publish(events, store, "create", image, image)
    attributes = container.attributes(comment=comment, imageID=image)
    if target is not None:
        image_events.publish(events, store, "tag", image, target.familiar)
        attributes["imageRef"] = target.familiar
    events.publish("container", "commit", container.id, attributes)
