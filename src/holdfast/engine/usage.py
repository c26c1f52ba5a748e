# SPDX-License-Identifier: Apache-2.0
"""Who uses what: which containers hold a volume or an image. Pure; called by the volume and image jobs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.containers.record import Record


def volume_users(records: Iterable[Record], name: str) -> list[str]:
    """The ids of the containers that mount the volume, running or not."""
    return [record.id for record in records if any(m.type == "volume" and m.name == name for m in record.mounts)]


def volumes_in_use(records: Iterable[Record]) -> set[str]:
    """The names of all volumes that some container mounts."""
    return {mount.name for record in records for mount in record.mounts if mount.type == "volume"}


def image_counts(records: Iterable[Record]) -> Counter[str]:
    """How many containers were made from each image."""
    return Counter([record.image_id for record in records])
