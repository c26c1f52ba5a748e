# SPDX-License-Identifier: Apache-2.0
"""`hold volume update`: for cluster volumes only, which need a swarm."""

from __future__ import annotations

from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (Flag("availability", "", "string", "Cluster Volume availability (active, pause, drain)", default="active"),)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Asks the daemon, which says what it can do."""
    session.api.call("GET", f"/volumes/{arguments[0]}")
    body = {"Spec": {"Availability": values["availability"]}}
    session.api.call("PUT", f"/volumes/{arguments[0]}", query={"version": 0}, body=body)
    return 0


COMMAND = Command(
    "volume update",
    "volume update [OPTIONS] VOLUME",
    "Update a volume (cluster volumes only)",
    run,
    _FLAGS,
    minimum=1,
    maximum=1,
)
