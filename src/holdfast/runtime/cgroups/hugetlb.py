# SPDX-License-Identifier: Apache-2.0
"""`hugetlb` of both versions: huge pages (Documentation/admin-guide/cgroup-v1/hugetlb.rst, cgroup-v2.rst, HugeTLB)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan_v1(resources: Resources) -> Writes:
    """Writes for v1's `hugetlb`, one per page size."""
    return _plan(resources, "limit_in_bytes")


def plan_v2(resources: Resources) -> Writes:
    """Writes for v2's `hugetlb`, one per page size."""
    return _plan(resources, "max")


def _plan(resources: Resources, file: str) -> Writes:
    entries = values.entries(resources, "hugepageLimits")
    return [(f"hugetlb.{values.page_size(each)}.{file}", str(values.integer(each, "limit") or 0)) for each in entries]
