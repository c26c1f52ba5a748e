# SPDX-License-Identifier: Apache-2.0
"""Checkpoints: dockerd has them in experimental mode only, and answers as Holdfast does outside of it.

Called by `api.routes.containers`. Source: moby 28 `api/server/router/checkpoint`; text of dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Request, Response
from holdfast.api.router import Route
from holdfast.errors import Unsupported


def routes() -> list[Route]:
    """The routes of this part of the noun."""

    async def refuse(request: Request) -> Response:
        raise Unsupported(
            "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to "
            "enable it."
        )

    return [
        Route("GET", "/containers/{id...}/checkpoints", refuse),
        Route("POST", "/containers/{id...}/checkpoints", refuse),
        Route("DELETE", "/containers/{id...}/checkpoints/{checkpoint}", refuse),
    ]
