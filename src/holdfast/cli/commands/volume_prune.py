# SPDX-License-Identifier: Apache-2.0
"""`hold volume prune`: remove the volumes that no container uses."""

from __future__ import annotations

from holdfast.cli import filters, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_WARNING = (
    "WARNING! This will remove {kind} local volumes not used by at least one container.\n"
    "Are you sure you want to continue? [y/N] "
)
_FLAGS = (
    Flag("all", "a", "bool", "Remove all unused volumes, not just anonymous ones"),
    Flag("filter", "", "list", 'Provide filter values (e.g. "label=<label>")', placeholder="filter"),
    Flag("force", "f", "bool", "Do not prompt for confirmation"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Asks, then prints what went and what that gained."""
    wanted = filters.parse(values["filter"])
    if values["all"]:
        wanted["all"] = {"true": True}
    if not values["force"]:
        print(_WARNING.format(kind="all" if values["all"] else "anonymous"), end="", flush=True)
        try:
            answer = input().strip()
        except EOFError:
            answer = ""
        if answer not in ("y", "Y"):
            print("Total reclaimed space: 0B")
            return 0
    pruned = session.api.call("POST", "/volumes/prune", query={"filters": wanted})
    if pruned["VolumesDeleted"]:
        print("Deleted Volumes:")
        print("\n".join(pruned["VolumesDeleted"]), end="\n\n")
    print(f"Total reclaimed space: {units.human_size(pruned['SpaceReclaimed'])}")
    return 0


COMMAND = Command("volume prune", "volume prune [OPTIONS]", "Remove unused local volumes", run, _FLAGS, maximum=0)
