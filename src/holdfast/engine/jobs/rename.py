# SPDX-License-Identifier: Apache-2.0
"""`docker rename`. Called by `api.routes.containers`. Source: Engine API v1.51 ContainerRename."""

from __future__ import annotations

import asyncio

import msgspec

from holdfast.containers import Container, Containers, names
from holdfast.engine.events import Events
from holdfast.engine.networking import NetworkWorker
from holdfast.errors import InvalidArgument


async def rename(*, containers: Containers, events: Events, networks: NetworkWorker, reference: str, name: str) -> None:
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
        if container.state.has_process:
            await networks.run(lambda: networks.controller.rename(container.id, bare))
            _rename_endpoints(container, old, bare)
        containers.save(container)
    events.publish("container", "rename", container.id, container.attributes(oldName=f"/{old}"))


def _rename_endpoints(container: Container, old: str, new: str) -> None:
    for endpoint in container.record.network.endpoints.values():
        names = [new if name == old else name for name in endpoint.dns_names or ()]
        endpoint.dns_names = list(dict.fromkeys(names)) or None


def _refuse_own(container: Container, wanted: str) -> None:
    if wanted == f"/{container.name}":
        raise InvalidArgument("Renaming a container with the same name as its current name")
