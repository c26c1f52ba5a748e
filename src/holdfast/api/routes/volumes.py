# SPDX-License-Identifier: Apache-2.0
"""Volumes: create, list, inspect, remove, prune.

Called through `daemon.wiring`. Source: Engine API v1.51 "Volume"; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

import asyncio

from holdfast.api.http import Empty, Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.routes.swarm import NO_SWARM
from holdfast.api.schema import volumes as schema
from holdfast.engine import usage
from holdfast.engine.jobs.create_volume import create_volume
from holdfast.engine.jobs.list_volumes import list_volumes
from holdfast.engine.jobs.prune_volumes import prune_volumes
from holdfast.engine.jobs.remove_volume import remove_volume
from holdfast.engine.packages import Packages
from holdfast.errors import Unavailable

_ONLY_ANONYMOUS_SINCE = (1, 42)


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""
    store, events = packages.volumes, packages.events

    async def index(request: Request) -> Response:
        in_use = usage.volumes_in_use(packages.containers.list())
        found, warnings = await list_volumes(store=store, in_use=in_use, filters=request.query.filters())
        return Json(schema.VolumeList([schema.render(volume) for volume in found], warnings or None))

    async def create(request: Request) -> Response:
        body = await request.json(schema.VolumeCreate)
        if body.ClusterVolumeSpec is not None:
            raise Unavailable(NO_SWARM)
        volume = await create_volume(
            store=store, events=events, name=body.Name, driver=body.Driver, labels=body.Labels, options=body.DriverOpts
        )
        return Json(schema.render(volume), 201)

    async def inspect(request: Request) -> Response:
        return Json(schema.render(*await asyncio.to_thread(store.inspect, request.params["name"])))

    async def remove(request: Request) -> Response:
        name = request.params["name"]
        users = usage.volume_users(packages.containers.list(), name)
        await remove_volume(store=store, events=events, name=name, users=users, force=request.query.boolean("force"))
        return Empty()

    async def prune(request: Request) -> Response:
        pruned = await prune_volumes(
            store=store,
            events=events,
            in_use=usage.volumes_in_use(packages.containers.list()),
            filters=request.query.filters(),
            named_too=request.version < _ONLY_ANONYMOUS_SINCE,
        )
        return Json(schema.VolumePrune(pruned.names, pruned.freed_bytes))

    async def update(request: Request) -> Response:
        raise Unavailable("volume update only valid for cluster volumes, but swarm is unavailable")

    return [
        Route("GET", "/volumes", index),
        Route("POST", "/volumes/create", create),
        Route("POST", "/volumes/prune", prune),
        Route("GET", "/volumes/{name}", inspect),
        Route("PUT", "/volumes/{name}", update),
        Route("DELETE", "/volumes/{name}", remove),
    ]
