# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `freezer` (Documentation/admin-guide/cgroup-v1/freezer-subsystem.rst).

Freezing is not instant, and a cgroup can stay FREEZING when a process forks meanwhile; a short thaw lets it settle.
"""

from __future__ import annotations

import time

from holdfast.errors import Unavailable
from holdfast.kernel import cgroupfs

_FILE = "freezer.state"
_TRIES = 1000
_PAUSE_SECONDS = 0.001
_THAW_EVERY = 50


def freeze(directory: str) -> None:
    """Freezes and returns once everything in the cgroup stands still; raises Unavailable after about a second."""
    path = f"{directory}/{_FILE}"
    for count in range(_TRIES):
        if count % _THAW_EVERY == _THAW_EVERY - 1:
            cgroupfs.write(path, ["THAWED"])
        cgroupfs.write(path, ["FROZEN"])
        if cgroupfs.read(path) == "FROZEN":
            return
        time.sleep(_PAUSE_SECONDS)
    cgroupfs.write(path, ["THAWED"])
    raise Unavailable(f"cannot freeze cgroup {directory}: it is still running after {_TRIES} tries")


def thaw(directory: str) -> None:
    """Lets everything in the cgroup go on."""
    cgroupfs.write(f"{directory}/{_FILE}", ["THAWED"])


def is_frozen(directory: str) -> bool:
    """Whether it was asked to stand still (FREEZING counts)."""
    return cgroupfs.read_optional(f"{directory}/{_FILE}") not in ("THAWED", None)
