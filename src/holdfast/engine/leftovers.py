# SPDX-License-Identifier: Apache-2.0
"""What a container's last run leaves: processes and a control group. Used by start, reap and restore."""

from __future__ import annotations

import asyncio
import logging

from holdfast.containers import Container
from holdfast.engine import surroundings
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError
from holdfast.runtime import cgroups

_LOG = logging.getLogger("holdfast.engine")
_LOOKS, _LOOK_SECONDS = 1000, 0.002


def kill(packages: Packages, container: Container) -> None:
    """Ends every process of a container whose shim is gone, and its control group; idempotent. Blocks."""
    try:
        group = cgroups.detect().open(surroundings.cgroup_path(packages, container.record))
        group.kill()
        group.remove()
    except (HoldfastError, OSError) as error:
        _LOG.warning("control group of %s: %s", container.id[:12], error)


async def let_go(packages: Packages, container: Container) -> None:
    """Waits for the shim of the run before, which takes its control group away after it has told of the end.

    The next run's has the same path, and would go with it. What is still there after two seconds belongs to nobody.
    """
    if not container.record.was_started:
        return
    group = cgroups.detect().open(surroundings.cgroup_path(packages, container.record))
    for _ in range(_LOOKS):
        if not group.exists():
            return
        await asyncio.sleep(_LOOK_SECONDS)
