# SPDX-License-Identifier: Apache-2.0
"""Containers: every operation on them that answers with a document or a status.

Parse, job, render: nothing is decided here; attach, logs and wait are in `container_streams`. Called through
`daemon.wiring`. Source: Engine API v1.51 "Container"; texts and statuses of dockerd 28.5 (400 where that has 500 for a
wrong number).
"""

from __future__ import annotations

import asyncio
import time

from holdfast.api.http import Empty, Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.routes import checkpoints, commit, container_archives, container_stats, container_streams
from holdfast.api.schema import containers as schema
from holdfast.api.schema import create_versions
from holdfast.containers import Container
from holdfast.containers.config import HostConfig
from holdfast.engine import moments
from holdfast.engine.jobs.create import create as create_job
from holdfast.engine.jobs.list_containers import image_names, list_containers
from holdfast.engine.jobs.pause import pause as pause_job
from holdfast.engine.jobs.pause import unpause as unpause_job
from holdfast.engine.jobs.prune_containers import prune_containers
from holdfast.engine.jobs.remove import remove as remove_job
from holdfast.engine.jobs.remove_link import remove_link
from holdfast.engine.jobs.rename import rename as rename_job
from holdfast.engine.jobs.resize import resize as resize_job
from holdfast.engine.jobs.restart import restart as restart_job
from holdfast.engine.jobs.start import start as start_job
from holdfast.engine.jobs.stop import kill as kill_job
from holdfast.engine.jobs.stop import stop as stop_job
from holdfast.engine.jobs.top import top as top_job
from holdfast.engine.jobs.update import update as update_job
from holdfast.engine.packages import Packages
from holdfast.errors import Forbidden, HoldfastError, InvalidArgument

_PLATFORM_SINCE = (1, 41)
_ANNOTATIONS_SINCE = (1, 46)
"""In the list; inspect has them since they can be given."""
_WISHES_ONLY_SINCE = (1, 45)
"""Older versions show among a network's aliases what the container is called anyway."""
_NULL_WARNINGS_UNTIL = (1, 27)
"""Daemons of that time wrote null for no warnings; later ones write an empty list."""


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""
    return [
        *_making(packages),
        *_looking(packages),
        *_running(packages),
        *_changing(packages),
        *checkpoints.routes(),
        *container_archives.routes(packages),
        *commit.routes(packages),
        *container_stats.routes(packages),
        *container_streams.routes(packages),
    ]


def _making(packages: Packages) -> list[Route]:
    async def create(request: Request) -> Response:
        body = await request.json(schema.CreateBody, may_be_empty=False)
        if schema.config_of(body) == schema.config_of(schema.CreateBody()) and body.host_config is None:
            raise InvalidArgument("config cannot be empty in order to create a container")
        older = create_versions.adapt_create(body, request.version, packages.config.cgroup_version)
        config, host = schema.config_of(body), body.host_config or HostConfig()
        networking = body.networking_config
        created = await create_job(
            packages=packages,
            name=request.query.text("name"),
            config=config,
            host=host,
            endpoints=(networking.endpoints_config if networking else None) or {},
            platform=request.query.text("platform") if request.version >= _PLATFORM_SINCE else "",
        )
        warnings = [*older, *created.warnings] or (None if request.version <= _NULL_WARNINGS_UNTIL else [])
        return Json(schema.Answer(created.container_id, warnings), 201)

    async def remove(request: Request) -> Response:
        query = request.query
        if query.boolean("link"):
            await remove_link(packages=packages, reference=request.params["id"])
            return Empty()
        await remove_job(
            packages=packages,
            reference=request.params["id"],
            force=query.boolean("force"),
            with_volumes=query.boolean("v"),
        )
        return Empty()

    async def prune(request: Request) -> Response:
        filters = request.query.filters()
        until = filters.pop("until", [])
        if len(until) > 1:
            raise InvalidArgument("more than one until filter specified")
        pruned = await prune_containers(
            packages=packages,
            filters=filters,
            until_nanos=moments.parse(until[0], time.time_ns()) if until else None,
        )
        return Json({"ContainersDeleted": pruned.ids or None, "SpaceReclaimed": pruned.freed_bytes})

    return [
        Route("POST", "/containers/create", create),
        Route("POST", "/containers/prune", prune),
        Route("DELETE", "/containers/{id...}", remove),
    ]


def _looking(packages: Packages) -> list[Route]:
    containers = packages.containers

    async def index(request: Request) -> Response:
        query = request.query
        found = list_containers(
            containers=containers,
            pictures=packages.images,
            filters=query.filters(),
            is_all=query.boolean("all"),
            limit=query.integer("limit", 0) or 0,
        )
        now = time.time_ns()
        has_sizes = query.boolean("size")
        called, pictures = containers.link_names(), image_names(packages.images, found)
        lines = [
            schema.summary(
                each,
                now,
                await _sizes(packages, each) if has_sizes else None,
                image=pictures[each.id],
                link_names=called.get(each.id, ()),
            )
            for each in found
        ]
        return Json(lines if request.version >= _ANNOTATIONS_SINCE else schema.without_annotations(lines))

    async def inspect(request: Request) -> Response:
        container = containers.find(request.params["id"])
        await packages.supervisor.hear_out(container.shim)
        document = schema.inspect(
            container,
            layers=_layers(packages, container),
            exec_ids=[each.id for each in containers.execs.of(container.id) if each.exit_code is None],
            sizes=await _sizes(packages, container) if request.query.boolean("size") else None,
        )
        if request.version < _WISHES_ONLY_SINCE:
            schema.add_own_aliases(document, container.record)
        return Json(document)

    async def top(request: Request) -> Response:
        arguments = request.query.text("ps_args") or "-ef"
        table = await top_job(packages=packages, reference=request.params["id"], arguments=arguments)
        return Json({"Processes": table.rows, "Titles": table.titles})

    return [
        Route("GET", "/containers/json", index),
        Route("GET", "/containers/{id...}/json", inspect),
        Route("GET", "/containers/{id...}/top", top),
    ]


def _running(packages: Packages) -> list[Route]:
    """What starts and ends processes."""

    async def start(request: Request) -> Response:
        if request.query.text("checkpoint"):
            raise InvalidArgument("checkpoint is only supported in experimental mode")
        if request.query.text("checkpoint-dir"):
            raise Forbidden("custom checkpointdir is not supported")
        await start_job(packages=packages, reference=request.params["id"])
        return Empty()

    async def stop(request: Request) -> Response:
        signal_text, seconds = request.query.text("signal"), request.query.integer("t")
        await stop_job(packages=packages, reference=request.params["id"], signal_text=signal_text, seconds=seconds)
        return Empty()

    async def restart(request: Request) -> Response:
        signal_text, seconds = request.query.text("signal"), request.query.integer("t")
        await restart_job(packages=packages, reference=request.params["id"], signal_text=signal_text, seconds=seconds)
        return Empty()

    async def kill(request: Request) -> Response:
        await kill_job(packages=packages, reference=request.params["id"], signal_text=request.query.text("signal"))
        return Empty()

    return [
        Route("POST", "/containers/{id...}/start", start),
        Route("POST", "/containers/{id...}/stop", stop),
        Route("POST", "/containers/{id...}/restart", restart),
        Route("POST", "/containers/{id...}/kill", kill),
    ]


def _changing(packages: Packages) -> list[Route]:
    """What changes a container that stays as it is otherwise."""
    containers, events = packages.containers, packages.events

    async def pause(request: Request) -> Response:
        await pause_job(containers=containers, events=events, reference=request.params["id"])
        return Empty()

    async def unpause(request: Request) -> Response:
        await unpause_job(containers=containers, events=events, reference=request.params["id"])
        return Empty()

    async def rename(request: Request) -> Response:
        name = request.query.text("name")
        await rename_job(
            containers=containers, events=events, networks=packages.networks, reference=request.params["id"], name=name
        )
        return Empty()

    async def resize(request: Request) -> Response:
        height, width = container_streams.terminal_size(request)
        reference = request.params["id"]
        await resize_job(containers=containers, events=events, reference=reference, height=height, width=width)
        return Empty(200)

    async def update(request: Request) -> Response:
        body = await request.json(schema.UpdateBody)
        create_versions.adapt_update(body, request.version)
        warnings = await update_job(
            packages=packages,
            reference=request.params["id"],
            wish=body,
            has_policy=schema.has_restart_policy(body),
        )
        return Json({"Warnings": warnings or None})

    return [
        Route("POST", "/containers/{id...}/pause", pause),
        Route("POST", "/containers/{id...}/unpause", unpause),
        Route("POST", "/containers/{id...}/rename", rename),
        Route("POST", "/containers/{id...}/resize", resize),
        Route("POST", "/containers/{id...}/update", update),
    ]


def _layers(packages: Packages, container: Container) -> list[str]:
    try:
        return packages.snapshots.layers(container.id)
    except (HoldfastError, OSError):
        return []


async def _sizes(packages: Packages, container: Container) -> tuple[int, int]:
    """(what the container wrote, that and its image)."""
    try:
        written = (await asyncio.to_thread(packages.snapshots.usage, container.id)).size_bytes
    except (HoldfastError, OSError):
        written = 0
    try:
        image = packages.images.get(container.record.image_id).size
    except HoldfastError:
        image = 0
    return written, written + image
