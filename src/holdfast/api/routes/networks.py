# SPDX-License-Identifier: Apache-2.0
"""Networks: create, list, inspect, connect, disconnect, remove, prune.

Parse, job, render: nothing is decided here. Called through `daemon.wiring`. Source: Engine API v1.51 "Network"; texts and
statuses of dockerd 28.5 (400 where that has 500 for a wrong value).
"""

from __future__ import annotations

import time

from holdfast.api.http import Empty, Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.schema import networks as schema
from holdfast.containers.config import EndpointSettings
from holdfast.engine import moments
from holdfast.engine.jobs.connect_network import connect_network, disconnect_network
from holdfast.engine.jobs.create_network import create_network
from holdfast.engine.jobs.inspect_network import inspect_network
from holdfast.engine.jobs.list_networks import list_networks
from holdfast.engine.jobs.prune_networks import prune_networks
from holdfast.engine.jobs.remove_network import remove_network
from holdfast.engine.packages import Packages
from holdfast.errors import InvalidArgument, NotFound

_LISTS_WITHOUT_MEMBERS = (1, 28)
_CHOOSES_IPV4 = (1, 48)


def routes(packages: Packages) -> list[Route]:
    """The routes of this noun."""
    return [*_looking(packages), *_changing(packages), *_joining(packages)]


def _looking(packages: Packages) -> list[Route]:
    networks = packages.networks

    async def index(request: Request) -> Response:
        found = await list_networks(networks=networks, filters=request.query.filters())
        if request.version >= _LISTS_WITHOUT_MEMBERS:
            return Json([schema.render(network, ()) for network in found])
        members = await networks.run(lambda: [networks.controller.members(each.network_id) for each in found])
        return Json([schema.render(*each) for each in zip(found, members, strict=True)])

    async def inspect(request: Request) -> Response:
        _check_verbose(request.query.text("verbose"))
        scope = request.query.text("scope")
        network, members = await inspect_network(networks=networks, name=request.params["name"])
        if scope not in ("", network.scope):
            raise NotFound(f"network {request.params['name']} not found")
        return Json(schema.render(network, members))

    return [
        Route("GET", "/networks", index),
        Route("GET", "/networks/", index),
        Route("GET", "/networks/{name}", inspect),
    ]


def _changing(packages: Packages) -> list[Route]:
    networks, events, flusher = packages.networks, packages.events, packages.flusher

    async def create(request: Request) -> Response:
        body = await request.json(schema.NetworkCreate, may_be_empty=False)
        if request.version < _CHOOSES_IPV4:
            body.EnableIPv4 = None
        made = await create_network(networks=networks, flusher=flusher, events=events, wish=schema.wish_of(body))
        return Json(schema.NetworkCreated(made.network_id), 201)

    async def remove(request: Request) -> Response:
        await remove_network(networks=networks, flusher=flusher, events=events, reference=request.params["name"])
        return Empty()

    async def prune(request: Request) -> Response:
        filters = request.query.filters()
        until = filters.pop("until", [])
        if len(until) > 1:
            raise InvalidArgument("more than one until filter specified")
        until_nanos = moments.parse(until[0], time.time_ns()) if until else None
        pruned = await prune_networks(
            networks=networks, flusher=flusher, events=events, filters=filters, until_nanos=until_nanos
        )
        return Json(schema.NetworkPrune(pruned or None))

    return [
        Route("POST", "/networks/create", create),
        Route("POST", "/networks/prune", prune),
        Route("DELETE", "/networks/{name}", remove),
    ]


def _joining(packages: Packages) -> list[Route]:
    async def connect(request: Request) -> Response:
        body = await request.json(schema.NetworkConnect, may_be_empty=False)
        settings = body.EndpointConfig or EndpointSettings()
        await connect_network(
            packages=packages, network=request.params["name"], container=body.Container, settings=settings.wish()
        )
        return Empty(200)

    async def disconnect(request: Request) -> Response:
        body = await request.json(schema.NetworkDisconnect, may_be_empty=False)
        await disconnect_network(
            packages=packages, network=request.params["name"], container=body.Container, force=body.Force
        )
        return Empty(200)

    return [
        Route("POST", "/networks/{name}/connect", connect),
        Route("POST", "/networks/{name}/disconnect", disconnect),
    ]


def _check_verbose(text: str) -> None:
    """Go's strict reading; it would show a swarm's tasks."""
    if text not in ("", "1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"):
        raise InvalidArgument(f'invalid value for verbose: {text}: strconv.ParseBool: parsing "{text}": invalid syntax')
