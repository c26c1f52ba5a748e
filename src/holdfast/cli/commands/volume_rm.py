# SPDX-License-Identifier: Apache-2.0
"""`hold volume rm`: remove volumes."""

from __future__ import annotations

from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each name that it did it to."""

    def act(name: str) -> None:
        session.api.call("DELETE", f"/volumes/{name}", query={"force": values["force"]})

    return each(session, arguments, act)


COMMAND = Command(
    "volume_rm",
    "volume rm [OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    run,
    (Flag("force", "f", "bool", "Force the removal of one or more volumes"),),
    minimum=1,
)
