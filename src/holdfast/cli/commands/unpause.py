# SPDX-License-Identifier: Apache-2.0
"""`hold unpause`: thaw containers."""

from __future__ import annotations

from holdfast.cli.each import each
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints each name that it did it to."""

    def act(name: str) -> None:
        session.api.call("POST", f"/containers/{name}/unpause")

    return each(session, arguments, act)


COMMAND = Command(
    "unpause",
    "unpause CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    run,
    (),
    minimum=1,
)
