# SPDX-License-Identifier: Apache-2.0
"""Networks: list, inspect; what only user-defined networks have says that they are not built.

Called through `daemon.wiring`. Source: Engine API v1.51 "Network"; texts and statuses of dockerd 28.5.
"""

from __future__ import annotations

from holdfast.api.http import Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.schema import networks as schema
from holdfast.engine.jobs.inspect_network import inspect_network
from holdfast.engine.jobs.list_networks import list_networks
from holdfast.engine.packages import Packages
from holdfast.errors import Forbidden, InvalidArgument, NotFound, Unsupported

_NOT_BUILT = "user-defined networks are not implemented by Holdfast yet: use bridge, host, none or container:NAME"
_LISTS_WITHOUT_MEMBERS = (1, 28)
_PREDEFINED = frozenset(("bridge", "default", "host", "none"))


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""
    networks = packages.networks

    async def index(request: Request) -> Response:
        found = await list_networks(networks=networks, filters=request.query.filters())
        if request.version >= _LISTS_WITHOUT_MEMBERS:
            return Json([schema.render(network, ()) for network in found])
        members = await networks.run(lambda: [networks.controller.members(each.network_id) for each in found])
        return Json([schema.render(*each) for each in zip(found, members, strict=True)])

    async def inspect(request: Request) -> Response:
        if request.query.text("scope") not in ("", "local"):
            raise NotFound(f"network {request.params['name']} not found")
        network, members = await inspect_network(networks=networks, name=request.params["name"])
        return Json(schema.render(network, members))

    async def create(request: Request) -> Response:
        body = await request.json(schema.NetworkCreate)
        if not body.Name:
            raise InvalidArgument("network name is required")
        if body.Name in _PREDEFINED:
            raise Forbidden(f"operation is not permitted on predefined {body.Name} network")
        raise Unsupported(_NOT_BUILT)

    async def remove(request: Request) -> Response:
        network, _members = await inspect_network(networks=networks, name=request.params["name"])
        if network.is_predefined:
            raise Forbidden(f"{network.name} is a pre-defined network and cannot be removed")
        raise Unsupported(_NOT_BUILT)

    async def change_members(request: Request) -> Response:
        await inspect_network(networks=networks, name=request.params["name"])
        raise Unsupported(_NOT_BUILT)

    async def prune(request: Request) -> Response:
        request.query.filters()
        return Json(schema.NetworkPrune(None))

    return [
        Route("GET", "/networks", index),
        Route("POST", "/networks/create", create),
        Route("POST", "/networks/prune", prune),
        Route("GET", "/networks/{name}", inspect),
        Route("DELETE", "/networks/{name}", remove),
        Route("POST", "/networks/{name}/connect", change_members),
        Route("POST", "/networks/{name}/disconnect", change_members),
    ]
