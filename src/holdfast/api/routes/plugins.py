# SPDX-License-Identifier: Apache-2.0
"""Plugins: there are none yet, which is an answer: `docker inspect NAME` asks here last and wants a 404.

Called through `daemon.wiring`. Source: Engine API v1.51 "Plugin"; dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Json, Request, Response
from holdfast.api.router import Route
from holdfast.engine import filtering
from holdfast.errors import NotFound, Unsupported

_KEYS = frozenset(("enabled", "capability"))
_OF_ONE = (
    ("GET", "/plugins/{name...}/json"),
    ("DELETE", "/plugins/{name...}"),
    ("POST", "/plugins/{name...}/enable"),
    ("POST", "/plugins/{name...}/disable"),
    ("POST", "/plugins/{name...}/push"),
    ("POST", "/plugins/{name...}/set"),
    ("POST", "/plugins/{name...}/upgrade"),
)
_OF_NONE = (("GET", "/plugins/privileges"), ("POST", "/plugins/pull"), ("POST", "/plugins/create"))


def routes() -> list[Route]:
    """The routes of this noun."""

    async def index(request: Request) -> Response:
        filters = request.query.filters()
        filtering.check(filters, _KEYS)
        filtering.boolean(filters, "enabled", None)
        return Json([])

    async def of_one(request: Request) -> Response:
        raise NotFound(f'plugin "{request.params["name"]}" not found')

    async def of_none(request: Request) -> Response:
        raise Unsupported("managed plugins are not implemented by Holdfast yet")

    return [
        Route("GET", "/plugins", index),
        *(Route(method, pattern, of_none) for method, pattern in _OF_NONE),
        *(Route(method, pattern, of_one) for method, pattern in _OF_ONE),
    ]
