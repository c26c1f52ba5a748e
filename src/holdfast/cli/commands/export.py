# SPDX-License-Identifier: Apache-2.0
"""`hold export`: a container's files as a tar archive."""

from __future__ import annotations

from holdfast.cli.commands.save import write_output
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (Flag("output", "o", "string", "Write to a file, instead of STDOUT"),)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Streams the archive."""
    write_output(values["output"], session.api.stream("GET", f"/containers/{arguments[0]}/export"))
    return 0


COMMAND = Command(
    "export",
    "export [OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    run,
    _FLAGS,
    minimum=1,
    maximum=1,
)
