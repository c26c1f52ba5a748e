# SPDX-License-Identifier: Apache-2.0
"""`hold diff`: what a container added (A), changed (C) and deleted (D)."""

from __future__ import annotations

from holdfast.cli import table
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_LETTERS = "CAD"


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints one path per line."""
    changes: list[dict[str, Any]] = session.api.call("GET", f"/containers/{arguments[0]}/changes") or []
    for change in changes:
        print(f"{_LETTERS[change['Kind']]} {table.printable(change['Path'])}")
    return 0


COMMAND = Command(
    "diff",
    "diff CONTAINER",
    "Inspect changes to files or directories on a container's filesystem",
    run,
    minimum=1,
    maximum=1,
)
