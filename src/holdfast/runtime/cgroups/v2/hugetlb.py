# SPDX-License-Identifier: Apache-2.0
"""cgroup v2 `hugetlb`: huge pages (Documentation/admin-guide/cgroup-v2.rst, HugeTLB)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `hugetlb`: one per page size (`2MB`, `1GB`)."""
    entries = values.entries(resources, "hugepageLimits")
    return [(f"hugetlb.{values.page_size(each)}.max", str(values.integer(each, "limit") or 0)) for each in entries]
