# SPDX-License-Identifier: Apache-2.0
"""`hold volume inspect`: what the daemon knows of volumes."""

from __future__ import annotations

from holdfast.cli.commands import inspect
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints a JSON array, or one rendering of the template per object."""
    return inspect.inspect(session, values, arguments, ("volume",))


COMMAND = Command(
    "volume inspect",
    "volume inspect [OPTIONS] VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    run,
    inspect.FLAGS[:2],
    minimum=1,
)
