# SPDX-License-Identifier: Apache-2.0
"""`hold update`: other limits and another restart policy for containers, running or not."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import limit_flags
from holdfast.cli.container_flags import CONTAINER_FLAGS
from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_NAMES = frozenset((
    "blkio-weight", "cpu-period", "cpu-quota", "cpu-rt-period", "cpu-rt-runtime", "cpu-shares", "cpus", "cpuset-cpus",
    "cpuset-mems", "memory", "memory-reservation", "memory-swap", "pids-limit",
))  # fmt: skip
_FLAGS = (
    *(flag for flag in CONTAINER_FLAGS if flag.name in _NAMES),
    Flag("restart", "", "string", "Restart policy to apply when a container exits"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each name; warnings go to stderr."""
    if not any(values.was_set(flag.name) for flag in _FLAGS):
        raise errors.InvalidArgument("you must provide one or more flags when using this command")
    body = limit_flags.changeable(values)
    body["RestartPolicy"] = limit_flags.restart_policy(values["restart"])

    def act(name: str) -> None:
        answer = session.api.call("POST", f"/containers/{name}/update", body=body)
        for warning in answer.get("Warnings") or ():
            session.say(f"WARNING: {warning}")

    return each(session, arguments, act)


COMMAND = Command(
    "update",
    "update [OPTIONS] CONTAINER [CONTAINER...]",
    "Update configuration of one or more containers",
    run,
    _FLAGS,
    minimum=1,
)
