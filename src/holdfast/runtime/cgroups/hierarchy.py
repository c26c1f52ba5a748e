# SPDX-License-Identifier: Apache-2.0
"""Finds this machine's cgroup file systems and gives the hierarchy to work with.

On a hybrid machine the controllers are version 1's, so version 1 it is (as runc does); the v2 tree beside it stays
untouched. Called once at start by the spawner, the shim's tests and `hold-runc`.
"""

from __future__ import annotations

from holdfast.errors import Unsupported
from holdfast.runtime.cgroups import layout
from holdfast.runtime.cgroups.v1 import cgroup as v1_cgroup
from holdfast.runtime.cgroups.v1 import hierarchy as v1
from holdfast.runtime.cgroups.v2 import cgroup as v2_cgroup
from holdfast.runtime.cgroups.v2 import hierarchy as v2

Hierarchy = v1.Hierarchy | v2.Hierarchy
Cgroup = v1_cgroup.Cgroup | v2_cgroup.Cgroup


def detect() -> Hierarchy:
    """The hierarchy of the calling process's mount namespace; Unsupported when no cgroup file system is mounted."""
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as mountinfo:
        found = layout.parse_mountinfo(mountinfo.read())
    if found.v1:
        return v1.Hierarchy(found.v1, found.mode)
    if found.unified is None:
        raise Unsupported("no cgroup file system is mounted: mount cgroup2 on /sys/fs/cgroup")
    return v2.Hierarchy(found.unified)
