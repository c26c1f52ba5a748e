# SPDX-License-Identifier: Apache-2.0
"""Swarm mode's operations on a node that is in no swarm: the answers by which clients notice.

Called through `daemon.wiring`. Source: Engine API v1.51 Swarm, Node, Service, Task, Secret, Config; texts of dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api import operations
from holdfast.api.http import Request, Response
from holdfast.api.router import Handler, Route
from holdfast.errors import Unavailable, Unsupported

NO_SWARM = (
    'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm '
    "and try again."
)
_NOUNS = frozenset(("swarm", "nodes", "services", "tasks", "secrets", "configs"))
_JOINING = frozenset(("/swarm/init", "/swarm/join"))


def routes() -> list[Route]:
    """The routes of these nouns."""
    return [
        Route(method, pattern, _handler(method, pattern))
        for method, pattern in operations.ALL
        if pattern.split("/")[1] in _NOUNS
    ]


def _handler(method: str, pattern: str) -> Handler:
    if method == "POST" and pattern in _JOINING:
        return _refuse_joining
    return _refuse_leaving if pattern == "/swarm/leave" else _refuse


async def _refuse(request: Request) -> Response:
    raise Unavailable(NO_SWARM)


async def _refuse_leaving(request: Request) -> Response:
    raise Unavailable("This node is not part of a swarm")


async def _refuse_joining(request: Request) -> Response:
    raise Unsupported("swarm mode is not implemented by Holdfast yet: this node works alone")
