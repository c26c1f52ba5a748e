# SPDX-License-Identifier: Apache-2.0
"""`hold network rm`: remove networks."""

from __future__ import annotations

from holdfast.cli.each import each
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints each name that it removed."""

    def act(name: str) -> None:
        session.api.call("DELETE", f"/networks/{name}")

    return each(session, arguments, act)


COMMAND = Command("network rm", "network rm NETWORK [NETWORK...]", "Remove one or more networks", run, minimum=1)
