# SPDX-License-Identifier: Apache-2.0
"""`hold start`: start stopped containers, attached when asked to."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import attachment
from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("attach", "a", "bool", "Attach STDOUT/STDERR and forward signals"),
    Flag("detach-keys", "", "string", "Override the key sequence for detaching a container"),
    Flag("interactive", "i", "bool", "Attach container's STDIN"),
    Flag("sig-proxy", "", "bool", "Proxy received signals to the process", default=True),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints each started name, or relays one container's streams."""

    def start(name: str) -> None:
        session.api.call("POST", f"/containers/{name}/start")

    if not (values["attach"] or values["interactive"]):
        return each(session, arguments, start)
    if len(arguments) > 1:
        raise errors.InvalidArgument("you cannot start and attach multiple containers at once")
    document = session.api.call("GET", f"/containers/{arguments[0]}/json")
    identity: str = document["Id"]
    has_tty: bool = document["Config"]["Tty"]
    return attachment.run_attached(
        session,
        identity,
        streams={"stdin": values["interactive"] and document["Config"]["OpenStdin"], "stdout": True, "stderr": True},
        has_tty=has_tty,
        is_removed=document["HostConfig"].get("AutoRemove", False),
        proxies_signals=values["sig-proxy"] and not has_tty,
        detach_keys=values["detach-keys"],
        start=lambda: start(identity),
    )


COMMAND = Command(
    "start", "start [OPTIONS] CONTAINER [CONTAINER...]", "Start one or more stopped containers", run, _FLAGS, minimum=1
)
