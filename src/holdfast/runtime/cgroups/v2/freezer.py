# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 freezer: `cgroup.freeze`, and `cgroup.events` to know when it has happened (cgroup-v2.rst, Core)."""

from __future__ import annotations

import time

from holdfast.errors import Unavailable
from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import values

_PATIENCE_SECONDS = 2.0
_PAUSE_SECONDS = 0.001


def freeze(directory: str) -> None:
    """Freezes and returns once everything below stands still; raises Unavailable after two seconds."""
    cgroupfs.write(f"{directory}/cgroup.freeze", ["1"])
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while values.flat_keyed(cgroupfs.read(f"{directory}/cgroup.events")).get("frozen", 0) != 1:
        if time.monotonic() > deadline:
            thaw(directory)
            raise Unavailable(f"cannot freeze cgroup {directory}: it is still running after {_PATIENCE_SECONDS:g} s")
        time.sleep(_PAUSE_SECONDS)


def thaw(directory: str) -> None:
    """Lets everything below go on."""
    cgroupfs.write(f"{directory}/cgroup.freeze", ["0"])


def is_frozen(directory: str) -> bool:
    """Whether it was asked to stand still."""
    return cgroupfs.read_optional(f"{directory}/cgroup.freeze") == "1"
