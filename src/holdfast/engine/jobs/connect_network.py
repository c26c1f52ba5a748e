# SPDX-License-Identifier: Apache-2.0
"""`docker network connect` and `disconnect`, of living and of stopped containers. Called by `api.routes.networks`.

A stopped container's record is all that changes. A living one's wish is changed and handed down whole: the network
package compares it with what is and applies the difference, so that a daemon that is killed at any line finds the way.
Source: Engine API v1.51 NetworkConnect, NetworkDisconnect; moby 28 `daemon/container_operations.go`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from holdfast.containers import Container
from holdfast.containers.config import EndpointSettings
from holdfast.engine import container_network
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, Forbidden, InvalidArgument, NotFound
from holdfast.networks import Network

_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"
_NONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
_TO_HOST = "cannot connect container to host network - container must be created in host network mode"
_FROM_HOST = "cannot disconnect container from host network - container was created in host network mode"


async def connect_network(*, packages: Packages, network: str, container: str, settings: EndpointSettings) -> None:
    """Adds a network to a container; NotFound, InvalidArgument, Forbidden (it is in there, address taken)."""
    found = packages.containers.find(container)
    await asyncio.shield(
        packages.background.start(_connect(packages, network, found, settings), f"connect of {found.id[:12]}")
    )


async def disconnect_network(*, packages: Packages, network: str, container: str, force: bool) -> None:
    """Takes a container out of a network, be it its last; NotFound, Conflict when it is not in there."""
    try:
        found = packages.containers.find(container)
    except NotFound:
        if not force:
            raise
        return
    await asyncio.shield(
        packages.background.start(_disconnect(packages, network, found), f"disconnect of {found.id[:12]}")
    )


async def _connect(packages: Packages, reference: str, container: Container, settings: EndpointSettings) -> None:
    async with container.lock:
        await container.settle()
        _refuse_ending(container)
        controller = packages.networks.controller
        wish = container_network.endpoint_wish(reference, settings)
        network = await packages.networks.run(lambda: controller.check_settings(wish))
        wishes = container.record.network.endpoints
        _refuse_mixture(container, network)
        key = container_network.key_for(network.name, network.network_id, wishes)
        if key is not None and container.state.has_process:
            raise Forbidden(f"endpoint with name {container.name} already exists in network {network.name}")
        added = {name: each for name, each in wishes.items() if name != key}
        await _apply(packages, container, {**added, network.name: settings})


async def _disconnect(packages: Packages, reference: str, container: Container) -> None:
    async with container.lock:
        await container.settle()
        _refuse_ending(container)
        wishes = container.record.network.endpoints
        try:
            network = await packages.networks.run(lambda: packages.networks.controller.network(reference))
            key = container_network.key_for(network.name, network.network_id, wishes)
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


def _refuse_mixture(container: Container, network: Network) -> None:
    mode = container.record.host_config.network_mode
    if mode.startswith("container:"):
        raise InvalidArgument(_SHARED)
    if mode != "host" and network.driver == "host":
        raise InvalidArgument(_TO_HOST)
    names = set(container.record.network.endpoints) - {network.name}
    if names and "host" in (*names, network.driver):
        raise InvalidArgument(_SHARED)
    if names and "none" in (*names, network.name):
        raise InvalidArgument(_NONE)
