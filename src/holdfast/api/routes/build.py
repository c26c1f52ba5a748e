# SPDX-License-Identifier: Apache-2.0
"""The build cache: there is none yet, so pruning it frees nothing; `docker system prune` asks for it every time.

Called through `daemon.wiring`. Source: Engine API v1.51 BuildPrune; dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Empty, Json, Request, Response
from holdfast.api.router import Route
from holdfast.engine.events import Events


def routes(events: Events) -> list[Route]:
    """The routes of this noun."""

    async def prune(request: Request) -> Response:
        request.query.filters()
        events.publish("builder", "prune", "", {"reclaimed": "0"})
        return Json({"CachesDeleted": None, "SpaceReclaimed": 0})

    async def cancel(request: Request) -> Response:
        return Empty(200)

    return [Route("POST", "/build/prune", prune), Route("POST", "/build/cancel", cancel)]
