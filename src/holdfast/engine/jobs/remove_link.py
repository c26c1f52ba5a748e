# SPDX-License-Identifier: Apache-2.0
"""`docker rm --link OWN/ALIAS`: takes a name away that one container has for another; both stay.

What a running container's /etc/hosts says of it stays until its next start. Called by `api.routes.containers`.
Source: Engine API v1.51 ContainerDelete, moby 28 `daemon/delete.go`.
"""

from __future__ import annotations

import asyncio

import msgspec

from holdfast.containers import links
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict


async def remove_link(*, packages: Packages, reference: str) -> None:
    """Durable; NotFound for a name that nobody has, Conflict for a container's own."""
    containers = packages.containers
    containers.find(reference)
    own, slash, alias = reference.removeprefix("/").partition("/")
    if not slash:
        raise Conflict("Conflict, cannot remove the default link name of the container")
    parent = containers.find(own)
    async with parent.lock:
        parent.require_kept("unlink")
        host = parent.record.host_config
        left = links.without(host, alias)
        document = msgspec.structs.replace(parent.record, host_config=msgspec.structs.replace(host, links=left))
        await asyncio.shield(asyncio.to_thread(containers.write, document))
        host.links = left
        parent.listing = None
