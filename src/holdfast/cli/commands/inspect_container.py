# SPDX-License-Identifier: Apache-2.0
"""`hold container inspect`: what the daemon knows of containers."""

from __future__ import annotations

from holdfast.cli.commands import inspect
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints a JSON array, or one rendering of the template per object."""
    return inspect.inspect(session, values, arguments, ("container",))


COMMAND = Command(
    "container inspect",
    "container inspect [OPTIONS] CONTAINER [CONTAINER...]",
    "Display detailed information on one or more containers",
    run,
    inspect.FLAGS[:2],
    minimum=1,
)
