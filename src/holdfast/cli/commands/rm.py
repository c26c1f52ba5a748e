# SPDX-License-Identifier: Apache-2.0
"""`hold rm`: remove containers; `--force` kills a running one first and takes a missing one for removed."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import table
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("force", "f", "bool", "Force the removal of a running container (uses SIGKILL)"),
    Flag("link", "l", "bool", "Remove the specified link"),
    Flag("volumes", "v", "bool", "Remove anonymous volumes associated with the container"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each removed name; with --force a missing container is told but is no failure."""
    query = {"force": values["force"], "v": values["volumes"], "link": values["link"]}
    code = 0
    for name in arguments:
        try:
            session.api.call("DELETE", f"/containers/{name.strip('/')}", query=query)
        except errors.HoldfastError as error:
            if isinstance(error, errors.Unavailable):
                raise
            session.say(f"hold: {table.printable(error.message)}")
            if not (values["force"] and isinstance(error, errors.NotFound)):
                code = 1
            continue
        print(name)
    return code


COMMAND = Command(
    "rm", "rm [OPTIONS] CONTAINER [CONTAINER...]", "Remove one or more containers", run, _FLAGS, minimum=1
)
