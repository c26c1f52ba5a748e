# SPDX-License-Identifier: Apache-2.0
"""`GET /containers/{id}/stats`: one document, or one every second.

Called by `api.routes.containers`. Source: Engine API v1.51 ContainerStats.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from holdfast.api.http import Json, Request, Response, Stream
from holdfast.api.router import Route
from holdfast.api.schema import stats as schema
from holdfast.containers import Container
from holdfast.engine.jobs.stats import stats, stream_stats
from holdfast.engine.packages import Packages
from holdfast.engine.sampler import Sample
from holdfast.errors import InvalidArgument

_ONE_SHOT_SINCE = (1, 41)


def routes(packages: Packages) -> list[Route]:
    """The one route."""

    def render(container: Container, now: Sample, before: Sample) -> dict[str, object]:
        return schema.render(container.name, container.id, now, before, packages.config.cgroup_version)

    async def follow(container: Container) -> AsyncIterator[bytes]:
        async for now, before in stream_stats(packages=packages, container=container):
            yield msgspec.json.encode(render(container, now, before)) + b"\n"

    async def show(request: Request) -> Response:
        is_stream = request.query.boolean("stream", default=True)
        one_shot = request.query.boolean("one-shot") and request.version >= _ONE_SHOT_SINCE
        if is_stream and one_shot:
            raise InvalidArgument("cannot have stream=true and one-shot=true")
        container = packages.containers.find(request.params["id"])
        if is_stream:
            return Stream(follow(container))
        now, before = await stats(packages=packages, container=container, one_shot=one_shot)
        return Json(render(container, now, before))

    return [Route("GET", "/containers/{id...}/stats", show)]
