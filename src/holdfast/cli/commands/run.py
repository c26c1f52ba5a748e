# SPDX-License-Identifier: Apache-2.0
"""`hold run`: create a container, attach to it, start it, and leave with its exit code."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import attachment, container_body, terminal
from holdfast.cli.container_flags import CONTAINER_FLAGS
from holdfast.cli.failure import ExitCode, start_code
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    *CONTAINER_FLAGS,
    Flag("detach", "d", "bool", "Run container in background and print container ID"),
    Flag("detach-keys", "", "string", "Override the key sequence for detaching a container"),
    Flag("sig-proxy", "", "bool", "Proxy received signals to the process", default=True),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Runs the command line; errors before the container's own command give 125, 126 or 127."""
    if values["detach"] and values["attach"]:
        raise ExitCode("conflicting options: cannot specify both --attach and --detach", 125)
    if values["rm"] and values["restart"] not in ("", "no"):
        raise ExitCode("conflicting options: cannot specify both --restart and --rm", 125)
    if values["tty"] and values["interactive"] and not values["detach"] and not terminal.is_terminal(0):
        raise ExitCode("the input device is not a TTY", 1)
    try:
        body = container_body.build(values, arguments)
        if values["tty"] and (size := terminal.size()):
            body["HostConfig"]["ConsoleSize"] = list(size)
        identity = attachment.create(session, values, body)
        return _start(session, values, body, identity)
    except ExitCode:
        raise
    except errors.HoldfastError as error:
        raise ExitCode(error.message, start_code(error.message)) from error


def _start(session: Session, values: Values, body: dict[str, object], identity: str) -> int:
    def start() -> None:
        session.api.call("POST", f"/containers/{identity}/start")

    if values["detach"]:
        print(identity)  # also when the start fails: the container is there
        start()
        return 0
    streams = {
        "stdin": bool(body["AttachStdin"]),
        "stdout": bool(body["AttachStdout"]),
        "stderr": bool(body["AttachStderr"]),
    }
    return attachment.run_attached(
        session,
        identity,
        streams=streams,
        has_tty=values["tty"],
        is_removed=values["rm"],
        proxies_signals=values["sig-proxy"] and not values["tty"],
        detach_keys=values["detach-keys"],
        start=start,
    )


COMMAND = Command(
    "run",
    "run [OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    run,
    _FLAGS,
    minimum=1,
    interspersed=False,
)
