# SPDX-License-Identifier: Apache-2.0
"""The JSON shapes of volumes. Read and made by `api.routes.volumes`. Source: Engine API v1.51; dockerd 28.5."""

from __future__ import annotations

import time
from typing import Any

import msgspec

from holdfast.volumes import Described
from holdfast.volumes import Volume as Record

_NO_TIME = "0001-01-01T00:00:00Z"


class VolumeCreate(msgspec.Struct):
    """The body of `POST /volumes/create`."""

    Name: str = ""
    Driver: str = ""
    DriverOpts: dict[str, str] | None = None
    Labels: dict[str, str] | None = None
    ClusterVolumeSpec: dict[str, Any] | None = None


class Volume(msgspec.Struct):
    """One volume; Docker writes the members in the order of the alphabet."""

    CreatedAt: str
    Driver: str
    Labels: dict[str, str] | None
    Mountpoint: str
    Name: str
    Options: dict[str, str] | None
    Scope: str = "local"
    Status: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET


class VolumeList(msgspec.Struct):
    """The answer of `GET /volumes`."""

    Volumes: list[Volume]
    Warnings: list[str] | None = None


class VolumePrune(msgspec.Struct):
    """The answer of `POST /volumes/prune`."""

    VolumesDeleted: list[str]
    SpaceReclaimed: int


def render(record: Record, described: Described | None = None) -> Volume:
    """A record as clients see it, with what its plugin says of it; times in whole seconds."""
    seconds = record.created_nanos // 1_000_000_000
    status = described.status if described else None
    return Volume(
        CreatedAt=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds)) if seconds else _NO_TIME,
        Driver=record.driver,
        Labels=record.labels,
        Mountpoint=record.mountpoint,
        Name=record.name,
        Options=record.options,
        Scope=record.scope,
        Status=status or msgspec.UNSET,
    )
