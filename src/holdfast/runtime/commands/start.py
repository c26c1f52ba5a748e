# SPDX-License-Identifier: Apache-2.0
"""`hold-runc start`: lets a created container execute its command."""

from __future__ import annotations

from holdfast.runtime.commands import create

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags, Table

USAGE = "start <container-id>"
FLAGS: Table = {}


def run(given: Context, options: Flags) -> int:
    """Starts; 0 once execve has succeeded. A failing poststart hook stops the container."""
    create.start(given.load(options.arguments, "start"))
    return 0
