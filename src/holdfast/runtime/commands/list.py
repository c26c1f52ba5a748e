# SPDX-License-Identifier: Apache-2.0
"""`hold-runc list`: the containers below --root."""

from __future__ import annotations

import json
import sys

from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.runtime.commands import context, create, flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "list [command options]"
FLAGS = {"f,format": flags.VALUE, "q,quiet": flags.SWITCH}
_HEAD = ("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER")
_NARROWEST = 12
_GAP = 3


def run(given: Context, options: Flags) -> int:
    """Prints ids (-q), a table or JSON; a container whose record is damaged is named on stderr and left out."""
    context.expect(options.arguments, "list", exactly=0)
    wanted = options.text("format", "table")
    if wanted not in ("table", "json"):
        raise InvalidArgument("invalid format option")
    if options.switch("quiet"):
        lines = given.store.ids()
    else:
        found = _describe_all(given)
        lines = [json.dumps(found or None)] if wanted == "json" else plan_table(found)
    for line in lines:
        print(line)  # noqa: T201  (a command's output)
    return 0


def plan_table(found: list[dict[str, Any]]) -> list[str]:
    """Columns padded to the widest cell, as Go's tabwriter lays runc's list out."""
    rows = [_HEAD]
    rows += [(s["id"], str(s["pid"]), s["status"], s["bundle"], s["created"], s["owner"]) for s in found]
    widths = [max(_NARROWEST, *(len(row[column]) + _GAP for row in rows)) for column in range(len(_HEAD) - 1)]
    return ["".join(cell.ljust(width) for cell, width in zip(row, [*widths, 0], strict=True)) for row in rows]


def _describe_all(given: Context) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for container_id in given.store.ids():
        try:
            record = given.store.load(container_id)
            found.append({**record.describe(), "owner": create.owner_name(record.owner)})
        except HoldfastError as problem:
            print(f"load container {container_id}: {problem.message}", file=sys.stderr)  # noqa: T201
    return found
