# SPDX-License-Identifier: Apache-2.0
"""`hold wait`: block until containers stop and print their exit codes."""

from __future__ import annotations

from holdfast.cli.each import each
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints one exit code per name."""

    def wait(name: str) -> str:
        return str(session.api.call("POST", f"/containers/{name}/wait")["StatusCode"])

    return each(session, arguments, wait)


COMMAND = Command(
    "wait",
    "wait CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    run,
    minimum=1,
)
