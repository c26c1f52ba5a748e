# SPDX-License-Identifier: Apache-2.0
"""`hold restart`: stop and start containers again."""

from __future__ import annotations

from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each name that it did it to."""

    def act(name: str) -> None:
        session.api.call(
            "POST", f"/containers/{name}/restart", query={"t": _timeout(values), "signal": values["signal"] or None}
        )

    return each(session, arguments, act)


def _timeout(values: Values) -> int | None:
    for name in ("timeout", "time"):
        if values.was_set(name):
            seconds: int = values[name]
            return seconds
    return None


COMMAND = Command(
    "restart",
    "restart [OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    run,
    (
        Flag("signal", "s", "string", "Signal to send to the container"),
        Flag("timeout", "t", "int", "Seconds to wait before killing the container"),
        Flag("time", "", "int", "Seconds to wait before killing the container (old name of --timeout)"),
    ),
    minimum=1,
)
