# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 `cpuset`: on which processors and memory nodes; empty means the parent's (cgroup-v2.rst, Cpuset)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `cpuset`."""
    cpu = values.section(resources, "cpu")
    named = (("cpuset.cpus", values.text(cpu, "cpus")), ("cpuset.mems", values.text(cpu, "mems")))
    return [(file, value) for file, value in named if value]
