# SPDX-License-Identifier: Apache-2.0
"""`docker rename`. Called by `api.routes.containers`. Source: Engine API v1.51 ContainerRename."""

from __future__ import annotations

import asyncio

import msgspec

from holdfast.containers import Container, Containers, names
from holdfast.engine.events import Events
from holdfast.errors import InvalidArgument


async def rename(*, containers: Containers, events: Events, reference: str, name: str) -> None:
    """Gives a container another name, durable; InvalidArgument, AlreadyExists."""
    container = containers.find(reference)
    if not name:
        raise InvalidArgument("Neither old nor new names may be empty")
    wanted = name if name.startswith("/") else f"/{name}"
    _refuse_own(container, wanted)
    try:
        bare = names.check(wanted)
    except InvalidArgument as error:
        raise InvalidArgument(f"Error when allocating new name: {error.message}") from None
    async with container.lock:
        container.require_kept("rename")
        _refuse_own(container, wanted)  # another call has given it this name meanwhile
        containers.reserve_name(bare, container.id)
        old = container.name
        document = msgspec.structs.replace(container.record, name=bare)
        try:
            await asyncio.shield(asyncio.to_thread(containers.write, document))
        except BaseException:
            containers.release_name(bare, container.id)
            raise
        containers.rename(container, bare)
        containers.save(container)
    events.publish("container", "rename", container.id, container.attributes(oldName=f"/{old}"))


def _refuse_own(container: Container, wanted: str) -> None:
    if wanted == f"/{container.name}":
        raise InvalidArgument("Renaming a container with the same name as its current name")
