# SPDX-License-Identifier: Apache-2.0
"""`hold top`: the processes of a container as a table."""

from __future__ import annotations

from holdfast.cli import table
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints the daemon's rows."""
    query = {"ps_args": " ".join(arguments[1:]) or None}
    answer = session.api.call("GET", f"/containers/{arguments[0]}/top", query=query)
    print(table.render(answer["Titles"], answer["Processes"]))
    return 0


COMMAND = Command(
    "top",
    "top CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    run,
    minimum=1,
    interspersed=False,
)
