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

    def act(name: str) -> str | None:
        try:
            session.api.call("DELETE", f"/networks/{name}")
        except errors.NotFound:
            if not values["force"]:
                raise
            raise errors.NotModified(name) from None
        return None

    return each(session, arguments, act)


COMMAND = Command(
    "network rm", "network rm NETWORK [NETWORK...]", "Remove one or more networks", run, _FLAGS, minimum=1
)
