# SPDX-License-Identifier: Apache-2.0
"""`POST /commit`: an image from a container.

Called through `daemon.wiring`, as part of the containers' routes. Source: Engine API v1.51 ImageCommit.
"""

from __future__ import annotations

from holdfast.api import decode
from holdfast.api.http import Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.routes.images import new_name
from holdfast.api.schema import containers as schema
from holdfast.engine.jobs.commit import commit
from holdfast.engine.packages import Packages


def routes(packages: Packages) -> list[Route]:
    """The one route."""

    async def make(request: Request) -> Response:
        query = request.query
        repository = query.text("repo")
        target = new_name(repository, query.text("tag")) if repository else None
        request.check_content_type()
        body = await request.read()
        has_config = body.strip() not in (b"", b"null")
        image = await commit(
            packages=packages,
            reference=query.text("container"),
            target=target,
            author=query.text("author"),
            comment=query.text("comment"),
            changes=query.many("changes"),
            config=schema.config_of(decode.decode(body, schema.CreateBody)) if has_config else None,
            is_paused=query.boolean("pause", default=True),
        )
        return Json({"Id": image}, 201)

    return [Route("POST", "/commit", make)]
