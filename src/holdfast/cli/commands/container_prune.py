# SPDX-License-Identifier: Apache-2.0
"""`hold container prune`: remove the containers that do not run."""

from __future__ import annotations

from holdfast.cli import confirmation, filters, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("filter", "", "list", 'Provide filter values (e.g. "until=<timestamp>")', placeholder="filter"),
    Flag("force", "f", "bool", "Do not prompt for confirmation"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Asks, then prints what went and what that gained."""
    if not values["force"] and not confirmation.is_given("This will remove all stopped containers."):
        print("Total reclaimed space: 0B")
        return 0
    pruned = session.api.call("POST", "/containers/prune", query={"filters": filters.parse(values["filter"])})
    if pruned["ContainersDeleted"]:
        print("Deleted Containers:")
        print("\n".join(pruned["ContainersDeleted"]), end="\n\n")
    print(f"Total reclaimed space: {units.human_size(pruned['SpaceReclaimed'])}")
    return 0


COMMAND = Command(
    "container prune", "container prune [OPTIONS]", "Remove all stopped containers", run, _FLAGS, maximum=0
)
