# SPDX-License-Identifier: Apache-2.0
"""`hold logout`: forgets a registry's log-in."""

from __future__ import annotations

from holdfast.cli import registry_auth
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Takes the log-in out of config.json, or out of the helper."""
    server = registry_auth.server_of(arguments[0] if arguments else "")
    if registry_auth.ConfigFile().drop(server):
        print(f"Removing login credentials for {server}")
    else:
        print(f"Not logged in to {server}")
    return 0


COMMAND = Command("logout", "logout [SERVER]", "Log out from a registry", run, maximum=1)
