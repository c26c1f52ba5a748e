# SPDX-License-Identifier: Apache-2.0
"""`hold network prune`: remove the networks that no container uses."""

from __future__ import annotations

from holdfast.cli import filters
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_WARNING = (
    "WARNING! This will remove all custom networks not used by at least one container.\n"
    "Are you sure you want to continue? [y/N] "
)
_FLAGS = (
    Flag("filter", "", "list", 'Provide filter values (e.g. "until=<timestamp>")', placeholder="filter"),
    Flag("force", "f", "bool", "Do not prompt for confirmation"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Asks, then prints what went."""
    if not values["force"]:
        print(_WARNING, end="", flush=True)
        try:
            answer = input().strip()
        except EOFError:
            answer = ""
        if answer not in ("y", "Y"):
            return 0
    pruned = session.api.call("POST", "/networks/prune", query={"filters": filters.parse(values["filter"])})
    if pruned["NetworksDeleted"]:
        print("Deleted Networks:")
        print("\n".join(pruned["NetworksDeleted"]), end="\n\n")
    return 0


COMMAND = Command("network prune", "network prune [OPTIONS]", "Remove all unused networks", run, _FLAGS, maximum=0)
