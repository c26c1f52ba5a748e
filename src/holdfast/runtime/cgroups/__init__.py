# SPDX-License-Identifier: Apache-2.0
"""Control groups, versions 1 and 2, behind one face: `detect()`, a `Hierarchy`, its `Cgroup`s."""

from holdfast.runtime.cgroups.hierarchy import Cgroup, Hierarchy, detect

__all__ = ["Cgroup", "Hierarchy", "detect"]
