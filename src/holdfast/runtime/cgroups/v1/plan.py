# SPDX-License-Identifier: Apache-2.0
"""OCI `linux.resources` as writes per v1 controller (pure; `v1.cgroup` applies them)."""

from __future__ import annotations

from holdfast.runtime.cgroups import hugetlb, pids, rdma
from holdfast.runtime.cgroups.v1 import blkio, cpu, cpuset, devices, memory, net_cls, net_prio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes

OPTIONAL = memory.OPTIONAL
_PLANS = (
    ("memory", memory.plan),
    ("cpu", cpu.plan),
    ("cpuset", cpuset.plan),
    ("pids", pids.plan),
    ("devices", devices.plan),
    ("blkio", blkio.plan),
    ("hugetlb", hugetlb.plan_v1),
    ("net_cls", net_cls.plan),
    ("net_prio", net_prio.plan),
    ("rdma", rdma.plan),
)


def plan(resources: Resources) -> dict[str, Writes]:
    """{controller: [(file, value), ...]} for a fresh cgroup, only controllers that get something."""
    return {controller: writes for controller, make in _PLANS if (writes := make(resources))}
