# SPDX-License-Identifier: Apache-2.0
"""Plugins: there are none yet, which is an answer: `docker inspect NAME` asks here last and wants a 404.

Called through `daemon.wiring`. Source: Engine API v1.51 PluginList, PluginInspect; dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Json, Request, Response
from holdfast.api.router import Route
from holdfast.errors import NotFound


def routes() -> list[Route]:
    """The routes of this noun."""

    async def index(request: Request) -> Response:
        return Json([])

    async def inspect(request: Request) -> Response:
        raise NotFound(f'plugin "{request.params["name"]}" not found')

    return [Route("GET", "/plugins", index), Route("GET", "/plugins/{name...}/json", inspect)]
