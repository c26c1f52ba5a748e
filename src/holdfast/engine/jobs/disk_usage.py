# SPDX-License-Identifier: Apache-2.0
"""`docker system df`: what images, containers and volumes take. Called by `api.routes.disk_usage`.

Sizes of layers are on record; containers' own layers and volumes are walked. Source: Engine API v1.51 SystemDataUsage.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from holdfast import volumes
from holdfast.containers import Container
from holdfast.engine import usage
from holdfast.engine.jobs.list_containers import list_containers
from holdfast.engine.jobs.list_images import list_images, shared_sizes
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError
from holdfast.images import Image

KINDS = ("container", "image", "volume", "build-cache")


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageUse:
    """An image, how many containers are made from it, and how much of it other images have too."""

    image: Image
    containers: int
    shared_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeUse:
    """A volume, how many containers mount it, and what is in it (-1: cannot be told)."""

    volume: volumes.Volume
    containers: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUsage:
    """What was asked for; the rest is empty."""

    layers_bytes: int = 0
    images: list[ImageUse] = field(default_factory=list[ImageUse])
    containers: list[Container] = field(default_factory=list[Container])
    volumes: list[VolumeUse] = field(default_factory=list[VolumeUse])


async def disk_usage(*, packages: Packages, kinds: frozenset[str]) -> DiskUsage:
    """Counts the kinds that are asked for (see `KINDS`)."""
    found = DiskUsage()
    if "image" in kinds:
        layers_bytes, images = await asyncio.to_thread(_images, packages)
        found = DiskUsage(layers_bytes=layers_bytes, images=images)
    containers: list[Container] = []
    if "container" in kinds:
        containers = list_containers(
            containers=packages.containers, pictures=packages.images, filters={}, is_all=True, limit=0
        )
    stored = await asyncio.to_thread(_volumes, packages) if "volume" in kinds else []
    return DiskUsage(layers_bytes=found.layers_bytes, images=found.images, containers=containers, volumes=stored)


def _images(packages: Packages) -> tuple[int, list[ImageUse]]:
    store, snapshots = packages.images, packages.snapshots
    found = list_images(store=store, filters={}, show_all=True)
    shared = shared_sizes(store, found)
    users = usage.image_counts(packages.containers.list())
    total = sum(snapshots.usage(name).size_bytes for name in snapshots.iter_names())
    return total, [
        ImageUse(
            image=image,
            containers=users[image.id],
            shared_bytes=shared.get(image.id, 0),
        )
        for image in found
    ]


def _volumes(packages: Packages) -> list[VolumeUse]:
    records = packages.containers.list()
    return [
        VolumeUse(
            volume=volume,
            containers=len(usage.volume_users(records, volume.name)),
            size_bytes=_size(packages.volumes, volume.name),
        )
        for volume in packages.volumes.list()
        if volume.is_plain
    ]


def _size(store: volumes.Store, name: str) -> int:
    try:
        return store.size_bytes(name)
    except (OSError, HoldfastError):
        return -1
