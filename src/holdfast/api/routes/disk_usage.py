# SPDX-License-Identifier: Apache-2.0
"""`GET /system/df`. Called through `daemon.wiring`. Source: Engine API v1.51 SystemDataUsage; dockerd 28.5."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec

from holdfast.api.http import Json, Request, Response
from holdfast.api.router import Route
from holdfast.api.schema import containers as container_schema
from holdfast.api.schema import images as image_schema
from holdfast.api.schema import volumes as volume_schema
from holdfast.containers import Container
from holdfast.engine.jobs.disk_usage import KINDS, VolumeUse, disk_usage
from holdfast.engine.jobs.list_containers import image_names
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, InvalidArgument

_TYPES_SINCE = (1, 42)


def routes(packages: Packages) -> list[Route]:
    """The one route."""

    async def show(request: Request) -> Response:
        wanted = request.query.many("type") if request.version >= _TYPES_SINCE else []
        for kind in wanted:
            if kind not in KINDS:
                raise InvalidArgument(f"unknown object type: {kind}")
        kinds = frozenset(wanted or KINDS)
        found = await disk_usage(packages=packages, kinds=kinds)
        now = time.time_ns()
        images = [
            _render_image(image_schema.render_summary(each.image, request.version, each.containers, each.shared_bytes))
            | {"Containers": each.containers}
            for each in found.images
        ]
        pictures = image_names(packages.images, found.containers)
        containers = [
            container_schema.summary(
                each, now, await asyncio.to_thread(_sizes, packages, each), image=pictures[each.id]
            )
            for each in found.containers
        ]
        return Json(
            {
                "LayersSize": found.layers_bytes,
                "Images": images if "image" in kinds else None,
                "Containers": containers if "container" in kinds else None,
                "Volumes": [_render_volume(each) for each in found.volumes] if "volume" in kinds else None,
                "BuildCache": [] if "build-cache" in kinds else None,
            }
        )

    return [Route("GET", "/system/df", show)]


def _render_image(summary: dict[str, Any]) -> dict[str, Any]:
    """Here dockerd says null for no names and no digests, in every version."""
    return summary | {"RepoTags": summary["RepoTags"] or None, "RepoDigests": summary["RepoDigests"] or None}


def _render_volume(use: VolumeUse) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(volume_schema.render(use.volume))
    return document | {"UsageData": {"RefCount": use.containers, "Size": use.size_bytes}}


def _sizes(packages: Packages, container: Container) -> tuple[int, int]:
    """(what the container wrote, that and its image)."""
    try:
        written = packages.snapshots.usage(container.id).size_bytes
    except (HoldfastError, OSError):
        written = 0
    try:
        return written, written + packages.images.get(container.record.image_id).size
    except HoldfastError:
        return written, written
