# SPDX-License-Identifier: Apache-2.0
"""`hold create`: make a container without starting it."""

from __future__ import annotations

from holdfast.cli import attachment, container_body
from holdfast.cli.container_flags import CONTAINER_FLAGS
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the new container's id."""
    print(attachment.create(session, values, container_body.build(values, arguments)))
    return 0


COMMAND = Command(
    "create",
    "create [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    run,
    CONTAINER_FLAGS,
    minimum=1,
    interspersed=False,
)
