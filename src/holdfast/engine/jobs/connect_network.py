# SPDX-License-Identifier: Apache-2.0
"""`docker network connect` and `disconnect`, of living and of stopped containers. Called by `api.routes.networks`.

A stopped container's record is all that changes. A living one's wish is changed and handed down whole: the network
package compares it with what is and applies the difference, so that a daemon that is killed at any line finds the way.
Source: Engine API v1.51 NetworkConnect, NetworkDisconnect; moby 28 `daemon/container_operations.go`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping

from holdfast.containers import Container
from holdfast.containers.config import EndpointSettings
from holdfast.engine import container_network, endpoint_wishes
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, Forbidden, InvalidArgument, NotFound
from holdfast.networks import Network, check_mixture

_SHORT_ID = 12
_NO_CONTAINER = 'invalid name or ID supplied: ""'
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_FROM_HOST = "cannot disconnect container from host network - container was created in host network mode"


async def connect_network(*, packages: Packages, network: str, container: str, settings: EndpointSettings) -> None:
    """Adds a network to a container; NotFound, InvalidArgument, Forbidden (it is in there, address taken)."""
    if not container:
        raise InvalidArgument(_NO_CONTAINER)
    found = packages.containers.find(container)
    await asyncio.shield(
        packages.background.start(_connect(packages, network, found, settings), f"connect of {found.id[:12]}")
    )


async def disconnect_network(*, packages: Packages, network: str, container: str, force: bool) -> None:
    """Takes a container out of a network, be it its last; NotFound, Conflict when it is not in there."""
    if not container:
        raise InvalidArgument(_NO_CONTAINER)
    try:
        found = packages.containers.find(container)
    except NotFound:
        if force:
            raise NotFound(f"endpoint {container} not found") from None
        raise
    await asyncio.shield(
        packages.background.start(_disconnect(packages, network, found), f"disconnect of {found.id[:12]}")
    )


async def _connect(packages: Packages, reference: str, container: Container, settings: EndpointSettings) -> None:
    async with container.lock:
        await container.settle()
        _refuse_ending(container)
        network = _check(packages, reference, container, settings)
        wishes = container.record.network.endpoints
        key = endpoint_wishes.key_for(network.name, network.network_id, wishes)
        if key is not None and container.state.has_process:
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        if key is not None:
            return  # as with Docker: what was asked for first stays
        if network.has_names and not container.state.has_process:
            settings.dns_names = _names(container, settings)
        await _apply(packages, container, {**wishes, network.name: settings})


def _names(container: Container, settings: EndpointSettings) -> list[str]:
    """What it will be called there, its name first; a start finds out the same."""
    hostname = container.record.config.hostname
    return list(dict.fromkeys([container.name, *(settings.aliases or ()), container.id[:_SHORT_ID], hostname]))


def _check(packages: Packages, reference: str, container: Container, settings: EndpointSettings) -> Network:
    """The network, if the container may be in it beside the others."""
    controller, mode = packages.networks.controller, container.record.host_config.network_mode
    if mode.startswith("container:"):
        raise InvalidArgument(_SHARED)
    network = controller.check_wish(endpoint_wishes.of_settings(reference, settings))
    if network is None:
        raise NotFound(f"network {reference} not found")
    others: list[Network] = []
    for name in container.record.network.endpoints:
        with contextlib.suppress(NotFound):
            others.append(controller.network(name))
    check_mixture(
        mode, container.name, [network, *[other for other in others if other.network_id != network.network_id]]
    )
    return network


async def _disconnect(packages: Packages, reference: str, container: Container) -> None:
    async with container.lock:
        await container.settle()
        _refuse_ending(container)
        wishes = container.record.network.endpoints
        try:
            network = packages.networks.controller.network(reference)
            key = endpoint_wishes.key_for(network.name, network.network_id, wishes)
        except NotFound:
            if reference not in wishes:
                raise
            key = reference
        if container.state.has_process and container.record.host_config.network_mode == key == "host":
            raise InvalidArgument(_FROM_HOST)
        if key is None:
            article = "" if container.state.has_process else "the "
            raise Conflict(f"container {container.id} is not connected to {article}network {reference}")
        await _apply(packages, container, {name: each for name, each in wishes.items() if name != key})


async def _apply(packages: Packages, container: Container, wishes: Mapping[str, EndpointSettings]) -> None:
    """The record says first what is wanted: a daemon that starts in between makes it so."""
    record = container.record
    before = record.network.endpoints
    record.network.endpoints = dict(wishes)
    try:
        if container.state.has_process:
            request, _ = container_network.request_of(packages, container)
            attachment = await packages.networks.run(lambda: packages.networks.controller.change(request))
            record.network = container_network.state_of(record, attachment)
    except BaseException:
        record.network.endpoints = before
        raise
    packages.containers.save(container)
    after = record.network.endpoints
    for name, endpoint in after.items():
        if name not in before and endpoint.endpoint_id:
            container_network.publish_event(packages, "connect", endpoint, container.id)
    for name, endpoint in before.items():
        if name not in after and endpoint.endpoint_id:
            container_network.publish_event(packages, "disconnect", endpoint, container.id)


def _refuse_ending(container: Container) -> None:
    container.require_sound()
    if container.record.is_removing or container.state.status in ("removing", "dead"):
        raise Conflict(
            f"Container {container.id} is marked for removal and cannot be connected or disconnected to the network"
        )
