# SPDX-License-Identifier: Apache-2.0
"""`hold network rm`: remove networks."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (Flag("force", "f", "bool", "Do not error if the network does not exist"),)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each name that it removed."""

    def exists(name: str) -> bool:
        try:
            session.api.call("GET", f"/networks/{name}")
        except errors.NotFound:
            return False
        return True

    def act(name: str) -> None:
        session.api.call("DELETE", f"/networks/{name}")

    return each(session, [name for name in arguments if not values["force"] or exists(name)], act)


COMMAND = Command(
    "network rm", "network rm NETWORK [NETWORK...]", "Remove one or more networks", run, _FLAGS, minimum=1
)
