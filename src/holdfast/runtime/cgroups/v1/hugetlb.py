# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `hugetlb`: huge pages (Documentation/admin-guide/cgroup-v1/hugetlb.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `hugetlb`: one per page size (`2MB`, `1GB`)."""
    writes: Writes = []
    for entry in values.entries(resources, "hugepageLimits"):
        file = f"hugetlb.{values.page_size(entry)}.limit_in_bytes"
        writes.append((file, str(values.integer(entry, "limit") or 0)))
    return writes
