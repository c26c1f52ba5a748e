# SPDX-License-Identifier: Apache-2.0
"""`docker container prune`: removes what does not run. Called by `api.routes.containers`.

Source: Engine API v1.51 ContainerPrune.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from holdfast.engine import filtering
from holdfast.engine.jobs.remove import remove
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError

KEYS = frozenset(("label", "label!", "until"))


@dataclass(frozen=True, slots=True)
class Pruned:
    """The ids that went and the bytes that they held."""

    ids: list[str]
    freed_bytes: int


async def prune_containers(
    *, packages: Packages, filters: Mapping[str, Sequence[str]], until_nanos: int | None
) -> Pruned:
    """Removes each stopped container that fits; one that changes meanwhile stays."""
    filtering.check(filters, KEYS)
    ids: list[str] = []
    freed = 0
    for container in packages.containers:
        labels = container.record.config.labels
        is_wanted = (
            container.state.status in ("created", "exited", "dead")
            and (until_nanos is None or container.record.created_nanos < until_nanos)
            and filtering.has_labels(labels, filters.get("label", ()))
            and filtering.has_no_label(labels, filters.get("label!", ()))
        )
        if not is_wanted:
            continue
        size = 0
        with contextlib.suppress(HoldfastError, OSError):
            size = (await asyncio.to_thread(packages.snapshots.usage, container.id)).size_bytes
        with contextlib.suppress(HoldfastError):
            await remove(packages=packages, reference=container.id)
            ids.append(container.id)
            freed += size
    packages.events.publish("container", "prune", "", {"reclaimed": str(freed)})
    return Pruned(ids, freed)
