# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `net_prio`: packet priority per interface (Documentation/admin-guide/cgroup-v1/net_prio.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `net_prio`: one per interface."""
    entries = values.entries(values.section(resources, "network"), "priorities")
    return [
        ("net_prio.ifpriomap", f"{values.text(entry, 'name')} {values.integer(entry, 'priority') or 0}")
        for entry in entries
    ]
