# SPDX-License-Identifier: Apache-2.0
"""`hold attach`: join a running container's streams."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import session_io
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("detach-keys", "", "string", "Override the key sequence for detaching a container"),
    Flag("no-stdin", "", "bool", "Do not attach STDIN"),
    Flag("sig-proxy", "", "bool", "Proxy all received signals to the process", default=True),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Leaves with the container's exit code, or 0 after the detach keys."""
    document = session.api.call("GET", f"/containers/{arguments[0]}/json")
    state, config, identity = document["State"], document["Config"], document["Id"]
    if not state["Running"]:
        raise errors.Conflict("cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise errors.Conflict("cannot attach to a paused container, unpause it first")
    has_stdin = config["OpenStdin"] and not values["no-stdin"]
    query = {
        "stream": True,
        "stdin": has_stdin,
        "stdout": True,
        "stderr": True,
        "detachKeys": values["detach-keys"] or None,
    }
    waiting = session.api.wait_stream(f"/containers/{identity}/wait")
    upgraded = session.api.upgrade(f"/containers/{identity}/attach", query=query)
    attached = session_io.Attached(
        resize_path=f"/containers/{identity}/resize",
        signal_path=f"/containers/{identity}/kill" if values["sig-proxy"] and not config["Tty"] else None,
        has_stdin=has_stdin,
        has_tty=config["Tty"],
        detach_keys=values["detach-keys"],
    )
    if not session_io.converse(session, upgraded, attached):
        session.say("read escape sequence")
        return 0
    code: int = waiting()["StatusCode"]
    return code


COMMAND = Command(
    "attach",
    "attach [OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    run,
    _FLAGS,
    minimum=1,
    maximum=1,
)
