# SPDX-License-Identifier: Apache-2.0
"""OCI `linux.resources` as writes into one v2 cgroup (pure; `v2.cgroup` applies them)."""

from __future__ import annotations

from holdfast.runtime.cgroups import hugetlb, pids, rdma
from holdfast.runtime.cgroups.v2 import cpu, cpuset, io, memory, unified

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes

OPTIONAL = memory.OPTIONAL
_PLANS = (memory.plan, cpu.plan, cpuset.plan, pids.plan, hugetlb.plan_v2, rdma.plan)


def plan(resources: Resources, *, has_bfq: bool = False) -> Writes:
    """[(file, value), ...] in the order in which to write; `unified` comes last and so has the last word."""
    writes = [write for make in _PLANS for write in make(resources)]
    writes += io.plan(resources, has_bfq=has_bfq)
    return writes + unified.plan(resources)
