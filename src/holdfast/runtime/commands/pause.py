# SPDX-License-Identifier: Apache-2.0
"""`hold-runc pause`: everything in the container stands still."""

from __future__ import annotations

from holdfast.errors import Conflict, Unsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups import Cgroup
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags, Table
    from holdfast.runtime.state import Record

USAGE = "pause <container-id>"
FLAGS: Table = {}


def run(given: Context, options: Flags) -> int:
    """Pauses a created or running container."""
    record = given.load(options.arguments, "pause")
    status = record.status()
    if status not in ("created", "running"):
        raise Conflict(f"container not running or created: {status}")
    cgroup_of(record).freeze()
    return 0


def cgroup_of(record: Record) -> Cgroup:
    """The container's cgroup; Unsupported when it was made without one."""
    cgroup = record.cgroup()
    if cgroup is None:
        raise Unsupported(f"container {record.container_id} has no cgroup")
    return cgroup
