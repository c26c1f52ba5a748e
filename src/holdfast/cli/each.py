# SPDX-License-Identifier: Apache-2.0
"""Does one thing to each of several named objects, as Docker's multi-argument commands do.

Every name is tried; each success prints the name, each failure a line on stderr; the exit code is 1 when any failed.
"""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.cli.main import Session


def each(session: Session, names: list[str], act: Callable[[str], str | None]) -> int:
    """Calls `act(name)`; what it returns (or the name) is printed."""
    code = 0
    for name in names:
        try:
            shown = act(name)
        except errors.NotModified:
            shown = None
        except errors.HoldfastError as error:
            if isinstance(error, errors.Unavailable):
                raise
            session.say(f"hold: {table.printable(error.message)}")
            code = 1
            continue
        print(name if shown is None else shown)
    return code
