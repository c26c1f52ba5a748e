# SPDX-License-Identifier: Apache-2.0
"""`hold kill`: send a signal to containers."""

from __future__ import annotations

from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each name that it did it to."""

    def act(name: str) -> None:
        session.api.call("POST", f"/containers/{name}/kill", query={"signal": values["signal"] or "SIGKILL"})

    return each(session, arguments, act)


COMMAND = Command(
    "kill",
    "kill [OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    run,
    (Flag("signal", "s", "string", "Signal to send to the container"),),
    minimum=1,
)
