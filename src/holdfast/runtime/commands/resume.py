# SPDX-License-Identifier: Apache-2.0
"""`hold-runc resume`: a paused container goes on."""

from __future__ import annotations

from holdfast.errors import Conflict
from holdfast.runtime.commands import pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags, Table

USAGE = "resume <container-id>"
FLAGS: Table = {}


def run(given: Context, options: Flags) -> int:
    """Resumes."""
    record = given.load(options.arguments, "resume")
    if record.status() != "paused":
        raise Conflict("container not paused")
    pause.cgroup_of(record).thaw()
    return 0
