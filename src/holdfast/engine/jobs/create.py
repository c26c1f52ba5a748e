# SPDX-License-Identifier: Apache-2.0
"""`docker create`: from a wish to a container that can be started.

Order, so that a `kill -9` at any line leaves nothing that anyone sees: name reserved in memory, snapshot, volumes and
directory on disk, then the record; whatever has no record is swept at the next start. The answer waits for the disk
only where volumes were made; else a start does, and a power loss before it may take the container, whole. Called by
`api.routes.containers`. Source: Engine API v1.51 ContainerCreate, moby 28 `daemon/create.go`.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast import images
from holdfast.containers import Container, Record, links, mount_wishes, names, namespace_modes, sandbox, validation
from holdfast.containers.config import Config, EndpointSettings, HostConfig, strings
from holdfast.containers.container import not_found
from holdfast.containers.record import MountPoint, NetworkState
from holdfast.engine import config_defaults, endpoint_wishes, image_platform, mounting, rootfs
from holdfast.engine.jobs import heal
from holdfast.engine.links import network_owner
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, InvalidArgument, NotFound
from holdfast.oci import platform as platforms
from holdfast.volumes import Write

_CHANCE = random.SystemRandom()


@dataclass(frozen=True, slots=True, kw_only=True)
class Created:
    """The new container's id, and what its user should know."""

    container_id: str
    warnings: list[str]


async def create(
    *,
    packages: Packages,
    name: str,
    config: Config,
    host: HostConfig,
    endpoints: Mapping[str, EndpointSettings],
    platform: str = "",
) -> Created:
    """Makes the container; NotFound (image), InvalidArgument, AlreadyExists (name), with nothing left behind."""
    bare_name = names.check(name) if name else ""
    config_defaults.complete_log(host, packages.config)
    warnings = validation.check(config, host, packages.machine)
    heal.check(config.labels)
    sandbox.parse_security_options(host.security_opt or (), packages.config.sandbox)
    if not config.image and not strings(config.entrypoint) and not strings(config.cmd):
        raise InvalidArgument("no command specified")
    image = packages.images.get(config.image)
    if platform:
        image_platform.check(packages.images, config.image, platforms.parse(platform, os.uname().machine))
    config_defaults.merge_image(config, image.config.config)
    config_defaults.complete(config, host, packages.config)
    wishes = endpoint_wishes.of_container(config, host, endpoints, packages.networks.controller.check_wish)
    container_id = secrets.token_hex(32)
    points = mount_wishes.collect(config, host, _inherited(packages, host), str(packages.config.data_root))
    shown = _find_images(packages, points)
    _check_joined(packages, host)
    config.hostname = config.hostname or _hostname(packages, host, container_id)
    command = [*(strings(config.entrypoint) or ()), *(strings(config.cmd) or ())]
    chosen = bare_name or names.generate(packages.containers.names, _CHANCE)
    packages.containers.reserve_name(chosen, container_id)
    record = Record(
        id=container_id,
        name=chosen,
        created_nanos=time.time_ns(),
        image_id=image.id,
        driver=packages.snapshots.name,
        chain_id=image.chain_id,
        path=command[0],
        args=command[1:],
        config=config,
        host_config=host,
        mounts=points,
        network=NetworkState(endpoints=wishes),
    )
    try:
        run = asyncio.to_thread if _is_quick(packages, host, points) else mounting.apart
        made = await asyncio.shield(run(_make, packages, record, shown))
    except BaseException:
        packages.containers.release_name(chosen, container_id)
        raise
    container = Container(record)
    packages.containers.add(container)
    if not made:
        container.creation = packages.flusher.begin()
    packages.volumes.unpin(container_id)
    for volume in made:
        packages.events.publish("volume", "create", volume, {"driver": "local"})
    packages.events.publish("container", "create", container_id, container.attributes())
    return Created(container_id=container_id, warnings=warnings)


def _is_quick(packages: Packages, host: HostConfig, points: Sequence[MountPoint]) -> bool:
    """Whether no volume driver is asked that may take its time."""
    return mounting.are_at_hand(packages, points) and not any(
        wish.volume_options and wish.volume_options.driver_config for wish in host.mounts or ()
    )


def _hostname(packages: Packages, host: HostConfig, container_id: str) -> str:
    """The host's or the joined container's where the network is theirs, else the short id, also in the host's UTS namespace."""
    if host.network_mode == "host":
        return socket.gethostname()
    joined = namespace_modes.joined_container(host.network_mode)
    try:
        return packages.containers.find(joined).record.config.hostname if joined else container_id[:12]
    except NotFound:
        return container_id[:12]


def _inherited(packages: Packages, host: HostConfig) -> list[MountPoint]:
    found: list[MountPoint] = []
    for text in host.volumes_from or ():
        reference, mode = mount_wishes.volumes_from(text)
        try:
            other = packages.containers.find(reference)
        except NotFound:
            raise InvalidArgument(not_found(reference).message) from None
        found += mount_wishes.inherit(other.record.mounts, mode)
    return found


def _check_joined(packages: Packages, host: HostConfig) -> None:
    """Containers named in a mode are kept by id; those of pid and ipc must exist now, the network's at the start."""
    for member in ("ipc_mode", "pid_mode", "network_mode"):
        reference = namespace_modes.joined_container(getattr(host, member))
        if reference is None:
            continue
        try:
            setattr(host, member, f"container:{packages.containers.find(reference).id}")
        except NotFound as error:
            if member != "network_mode":
                raise InvalidArgument(error.message) from None
    for link in host.links or ():
        _check_link(packages, host, link.partition(":")[0])


def _check_link(packages: Packages, host: HostConfig, reference: str) -> None:
    """In the default bridge a link leads to a container, and to none that has the host's network or joins such a one.

    In a network of the user's it is a name for whoever will be called so.
    """
    if not links.shown(host):
        return
    try:
        owner = network_owner(packages, packages.containers.find(reference))
    except NotFound as error:
        raise InvalidArgument(f"could not get container for {reference}: {error.message}") from None
    missing = namespace_modes.joined_container(owner.record.host_config.network_mode)
    if missing is not None:
        raise InvalidArgument(f"could not get container for {missing}: {not_found(missing).message}")
    if owner.record.host_config.network_mode == "host":
        raise InvalidArgument(namespace_modes.HOST_AND_LINKS)


def _find_images(packages: Packages, points: Sequence[MountPoint]) -> dict[str, images.Image]:
    """The images to be mounted, by destination; NotFound. Their ids are written down: names may move."""
    found: dict[str, images.Image] = {}
    for point in points:
        if point.type == "image":
            image = packages.images.get(point.source or point.name)
            point.source = image.id
            found[point.destination] = image
    return found


def _make(packages: Packages, record: Record, shown: Mapping[str, images.Image]) -> list[str]:
    """The blocking half: snapshots, directory, volumes, record. Returns the volumes that were made just now."""
    new_volumes: list[str] = []
    writes: list[Write] = []
    mounts = packages.snapshots.prepare(record.id, record.chain_id)
    directory = packages.config.container_directory(record.id)
    try:
        os.makedirs(directory, 0o710, exist_ok=True)
        mounting.make_views(packages, record, shown)
        _check_bind_sources(record)
        rootfs.mark(mounts)
        layers = packages.snapshots.layers(record.id)
        rootfs.make_working_directory(mounts, layers, record.chain_id or "", record.config.working_dir)
        fresh = _make_volumes(packages, record, new_volumes, writes)
        if fresh:
            with rootfs.mounted(mounts) as root_fd:
                for point in fresh:
                    packages.volumes.populate(point.name, root_fd, point.destination)
        packages.containers.write(record, writes, durable=bool(new_volumes))
        packages.volumes.confirm([name for _, name, _ in writes])
    except BaseException:
        _unmake(packages, record, new_volumes)
        raise
    return new_volumes


def _check_bind_sources(record: Record) -> None:
    for point in record.mounts:
        if point.type == "bind" and not os.path.lexists(point.source) and "create" not in point.options:
            raise InvalidArgument(
                f'invalid mount config for type "bind": bind source path does not exist: {point.source}'
            )
        if point.type == "bind" and not os.path.exists(point.source):
            try:
                os.makedirs(point.source, 0o755, exist_ok=True)
            except OSError as error:
                raise InvalidArgument(
                    f"error while creating mount source path '{point.source}': {(error.strerror or '').lower()}"
                ) from None


def _make_volumes(packages: Packages, record: Record, new_volumes: list[str], writes: list[Write]) -> list[MountPoint]:
    """Finds or makes each volume; returns the mount points whose volume takes the image's content.

    An anonymous volume is nobody's without its container: their records go into one transaction (`writes`).
    """
    fresh: list[MountPoint] = []
    wishes = {wish.target: wish.volume_options for wish in record.host_config.mounts or () if wish.volume_options}
    for point in record.mounts:
        if point.type != "volume":
            continue
        options = wishes.get(point.destination)
        driver_options = options.driver_config.options if options and options.driver_config else None
        volume, is_new = packages.volumes.create(
            point.name,
            driver=point.driver,
            labels=options.labels if options else None,
            options=driver_options,
            pin=record.id,
            writes=None if point.name else writes,
        )
        if is_new:
            new_volumes.append(volume.name)
        point.name, point.driver, point.source = volume.name, volume.driver, volume.mountpoint
        if point.copy_up and not point.subpath:
            fresh.append(point)
    return fresh


def _unmake(packages: Packages, record: Record, new_volumes: list[str]) -> None:
    """Best effort: what stays is swept at the next start."""
    for undo in (
        lambda: packages.snapshots.remove(record.id),
        lambda: mounting.remove_views(packages, record),
        lambda: rootfs.remove_directory(packages.config.container_directory(record.id)),
        *((lambda volume=volume: packages.volumes.remove(volume, force=True, pin=record.id)) for volume in new_volumes),
        lambda: packages.volumes.unpin(record.id),
    ):
        try:
            undo()
        except (HoldfastError, OSError):
            continue
