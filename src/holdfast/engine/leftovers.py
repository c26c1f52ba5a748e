# SPDX-License-Identifier: Apache-2.0
"""What a shim that was killed leaves of its container: processes and a control group. Used by start, reap and restore."""

from __future__ import annotations

import logging

from holdfast.containers import Container
from holdfast.engine import surroundings
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError
from holdfast.runtime import cgroups

_LOG = logging.getLogger("holdfast.engine")


def kill(packages: Packages, container: Container) -> None:
    """Ends every process of a container whose shim is gone, and its control group; idempotent. Blocks."""
    try:
        group = cgroups.detect().open(surroundings.cgroup_path(packages, container.record))
        group.kill()
        group.remove()
    except (HoldfastError, OSError) as error:
        _LOG.warning("control group of %s: %s", container.id[:12], error)
