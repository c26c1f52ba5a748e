# SPDX-License-Identifier: Apache-2.0
"""`hold restart`: stop and start containers again."""

from __future__ import annotations

from holdfast.cli import stop_flags
from holdfast.cli.each import each
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each name that it did it to."""

    def act(name: str) -> None:
        session.api.call("POST", f"/containers/{name}/restart", query=stop_flags.query(values))

    return each(session, arguments, act)


COMMAND = Command(
    "restart",
    "restart [OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    run,
    stop_flags.FLAGS,
    minimum=1,
)
