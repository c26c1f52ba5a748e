# SPDX-License-Identifier: Apache-2.0
"""Containers' files: archive (docker cp, both ways), changes (docker diff), export.

Called by `api.routes.containers`. Source: Engine API v1.51; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Empty, Json, Request, Response, Stream
from holdfast.api.router import Route
from holdfast.api.schema import container_archives as schema
from holdfast.engine.jobs import archive
from holdfast.engine.jobs.changes import changes
from holdfast.engine.jobs.export import export
from holdfast.engine.packages import Packages
from holdfast.errors import InvalidArgument

_TAR = "application/x-tar"
_BYTES = "application/octet-stream"
_STAT_HEADER = "X-Docker-Container-Path-Stat"


def routes(packages: Packages) -> list[Route]:
    """The routes of this part of the noun."""

    async def look(request: Request) -> Response:
        found = await archive.look(packages=packages, reference=request.params["id"], path=_path(request))
        return Empty(200, {_STAT_HEADER: schema.render_stat(found)})

    async def download(request: Request) -> Response:
        found, pieces = await archive.download(packages=packages, reference=request.params["id"], path=_path(request))
        return Stream(pieces, _TAR, headers={_STAT_HEADER: schema.render_stat(found)})

    async def extract(request: Request) -> Response:
        await archive.extract(
            packages=packages,
            reference=request.params["id"],
            path=_path(request),
            archive=request.body(),
            keeps_kinds=request.query.boolean("noOverwriteDirNonDir"),
            gives_to_user=request.query.boolean("copyUIDGID"),
        )
        return Empty(200)

    async def list_changes(request: Request) -> Response:
        found = await changes(packages=packages, reference=request.params["id"])
        return Json(schema.render_changes(found))

    async def export_all(request: Request) -> Response:
        return Stream(await export(packages=packages, reference=request.params["id"]), _BYTES)

    return [
        Route("GET", "/containers/{id...}/changes", list_changes),
        Route("GET", "/containers/{id...}/export", export_all),
        Route("HEAD", "/containers/{id...}/archive", look),
        Route("GET", "/containers/{id...}/archive", download),
        Route("PUT", "/containers/{id...}/archive", extract),
    ]


def _path(request: Request) -> str:
    path = request.query.text("path")
    if not path:
        raise InvalidArgument("bad parameter: pathcannot be empty")
    return path
