# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `cpuset`: on which processors and memory nodes (Documentation/admin-guide/cgroup-v1/cpusets.rst).

A new cpuset is empty, and nothing can join an empty one; `fill` copies the parent's values down.
"""

from __future__ import annotations

from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


_FILES = ("cpuset.cpus", "cpuset.mems")


def plan(resources: Resources) -> Writes:
    """Writes for `cpuset`."""
    cpu = values.section(resources, "cpu")
    named = ((_FILES[0], values.text(cpu, "cpus")), (_FILES[1], values.text(cpu, "mems")))
    return [(file, value) for file, value in named if value]


def fill(directory: str) -> None:
    """Gives an empty cpuset its parent's processors and nodes, and the parent its own parent's if it is empty, too.

    So it is while another start makes the parent, or when that one was killed over it. The nodes are filled last, by the
    kernel together with the processors, so they are looked at.
    """
    if cgroupfs.read(f"{directory}/{_FILES[-1]}") != "":
        return
    parent = directory.rpartition("/")[0]
    fill(parent)
    for file in _FILES:
        cgroupfs.write(f"{directory}/{file}", [cgroupfs.read(f"{parent}/{file}")])


def let_children_inherit(directory: str) -> None:
    """Makes the kernel do `fill` for cgroups created below this one from now on (cgroup.clone_children)."""
    cgroupfs.write(f"{directory}/cgroup.clone_children", ["1"])
