# SPDX-License-Identifier: Apache-2.0
"""`hold exec`: run a command in a running container."""

from __future__ import annotations

from holdfast.cli import container_body, session_io, terminal
from holdfast.cli.failure import ExitCode
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("detach", "d", "bool", "Detached mode: run command in the background"),
    Flag("detach-keys", "", "string", "Override the key sequence for detaching a container"),
    Flag("env", "e", "list", "Set environment variables"),
    Flag("env-file", "", "list", "Read in a file of environment variables"),
    Flag("interactive", "i", "bool", "Keep STDIN open even if not attached"),
    Flag("privileged", "", "bool", "Give extended privileges to the command"),
    Flag("tty", "t", "bool", "Allocate a pseudo-TTY"),
    Flag("user", "u", "string", "Username or UID (format: <name|uid>[:<group|gid>])"),
    Flag("workdir", "w", "string", "Working directory inside the container"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Leaves with the command's exit code."""
    if values["tty"] and values["interactive"] and not values["detach"] and not terminal.is_terminal(0):
        raise ExitCode("the input device is not a TTY", 1)
    attaches = not values["detach"]
    body: dict[str, Any] = {
        "Detach": values["detach"],
        "AttachStdin": attaches and values["interactive"],
        "AttachStdout": attaches,
        "AttachStderr": attaches,
        "Tty": values["tty"],
        "Cmd": arguments[1:],
        "Env": container_body.environment(values["env-file"], values["env"]),
        "User": values["user"],
        "WorkingDir": values["workdir"],
        "Privileged": values["privileged"],
        "DetachKeys": values["detach-keys"],
    }
    size = terminal.size() if values["tty"] else None
    if size:
        body["ConsoleSize"] = list(size)
    identity: str = session.api.call("POST", f"/containers/{arguments[0]}/exec", body=body)["Id"]
    begin: dict[str, Any] = {"Detach": values["detach"], "Tty": values["tty"]}
    if size:
        begin["ConsoleSize"] = list(size)
    if values["detach"]:
        session.api.call("POST", f"/exec/{identity}/start", body=begin)
        return 0
    upgraded = session.api.upgrade(f"/exec/{identity}/start", body=begin)
    attached = session_io.Attached(
        resize_path=f"/exec/{identity}/resize",
        signal_path=None,
        has_stdin=values["interactive"],
        has_tty=values["tty"],
        detach_keys=values["detach-keys"],
    )
    if not session_io.converse(session, upgraded, attached):
        return 0
    code: int = session.api.call("GET", f"/exec/{identity}/json")["ExitCode"]
    return code


COMMAND = Command(
    "exec",
    "exec [OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    run,
    _FLAGS,
    minimum=2,
    interspersed=False,
)
