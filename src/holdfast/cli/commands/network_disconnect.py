# SPDX-License-Identifier: Apache-2.0
"""`hold network disconnect`: take a container out of a network, running or not."""

from __future__ import annotations

from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (Flag("force", "f", "bool", "Force the container to disconnect from a network"),)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Says nothing when it went well."""
    body = {"Container": arguments[1], "Force": values["force"]}
    session.api.call("POST", f"/networks/{arguments[0]}/disconnect", body=body)
    return 0


COMMAND = Command(
    "network disconnect",
    "network disconnect [OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    run,
    _FLAGS,
    minimum=2,
    maximum=2,
)
