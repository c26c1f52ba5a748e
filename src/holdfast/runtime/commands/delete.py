# SPDX-License-Identifier: Apache-2.0
"""`hold-runc delete`: removes a stopped or created container, with --force any."""

from __future__ import annotations

from holdfast.errors import Conflict, NotFound
from holdfast.runtime.commands import context, destroy, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "delete [command options] <container-id>"
FLAGS = {"f,force": flags.SWITCH}


def run(given: Context, options: Flags) -> int:
    """Deletes; with --force a container that does not exist is fine."""
    context.expect(options.arguments, "delete", exactly=1)
    is_forced = options.switch("force")
    try:
        record = given.store.load(options.arguments[0])
    except NotFound:
        given.store.forget(options.arguments[0])  # a create that was killed leaves a directory without a record
        if is_forced:
            return 0
        raise
    status = record.status()
    if status in ("running", "paused") and not is_forced:
        raise Conflict(f"cannot delete container {record.container_id} that is not stopped: {status}")
    destroy.kill_and_wait(record)
    destroy.destroy(given, record)
    return 0
