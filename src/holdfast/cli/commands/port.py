# SPDX-License-Identifier: Apache-2.0
"""`hold port`: which host ports lead to a container's ports."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints `80/tcp -> 0.0.0.0:8080` lines, or the addresses of one port."""
    document = session.api.call("GET", f"/containers/{arguments[0]}/json")
    ports: dict[str, list[dict[str, str]] | None] = document["NetworkSettings"]["Ports"] or {}
    if len(arguments) > 1:
        wanted = arguments[1] if "/" in arguments[1] else f"{arguments[1]}/tcp"
        bindings = ports.get(wanted)
        if not bindings:
            raise errors.NotFound(f"No public port '{wanted}' published for {arguments[0]}")
        print("\n".join(_address(binding) for binding in bindings))
        return 0
    for port, bindings in sorted(ports.items()):
        for binding in bindings or ():
            print(f"{port} -> {_address(binding)}")
    return 0


def _address(binding: dict[str, str]) -> str:
    host = binding["HostIp"]
    return f"[{host}]:{binding['HostPort']}" if ":" in host else f"{host}:{binding['HostPort']}"


COMMAND = Command(
    "port",
    "port CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    run,
    minimum=1,
    maximum=2,
)
