# SPDX-License-Identifier: Apache-2.0
"""`hold rename`: give a container another name."""

from __future__ import annotations

from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints nothing, as Docker."""
    session.api.call("POST", f"/containers/{arguments[0]}/rename", query={"name": arguments[1]})
    return 0


COMMAND = Command("rename", "rename CONTAINER NEW_NAME", "Rename a container", run, minimum=2, maximum=2)
