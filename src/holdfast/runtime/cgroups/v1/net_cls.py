# SPDX-License-Identifier: Apache-2.0
"""cgroup v1 `net_cls`: the class of a cgroup's packets (Documentation/admin-guide/cgroup-v1/net_cls.rst)."""

from __future__ import annotations

from holdfast.runtime.cgroups import values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources, Writes


def plan(resources: Resources) -> Writes:
    """Writes for `net_cls`."""
    class_id = values.integer(values.section(resources, "network"), "classID")
    return [("net_cls.classid", str(class_id))] if class_id else []
