# SPDX-License-Identifier: Apache-2.0
"""`hold network inspect`: what the daemon knows of networks."""

from __future__ import annotations

from holdfast.cli.commands import inspect
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints a JSON array, or one rendering of the template per object."""
    return inspect.inspect(session, values, arguments, ("network",))


COMMAND = Command(
    "network inspect",
    "network inspect [OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    run,
    inspect.FLAGS[:2],
    minimum=1,
)
