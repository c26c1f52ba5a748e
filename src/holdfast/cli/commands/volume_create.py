# SPDX-License-Identifier: Apache-2.0
"""`hold volume create`: make a volume."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli.container_body import pairs
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("driver", "d", "string", "Specify volume driver name", default="local"),
    Flag("label", "", "list", "Set metadata for a volume"),
    Flag("name", "", "string", "Specify volume name"),
    Flag("opt", "o", "list", "Set driver specific options"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the volume's name."""
    if arguments and values["name"]:
        raise errors.InvalidArgument(
            "conflicting options: cannot specify a volume-name through both --name and as a positional arg"
        )
    body = {
        "Name": arguments[0] if arguments else values["name"],
        "Driver": values["driver"],
        "DriverOpts": pairs(values["opt"]),
        "Labels": pairs(values["label"]),
    }
    print(session.api.call("POST", "/volumes/create", body=body)["Name"])
    return 0


COMMAND = Command("volume create", "volume create [OPTIONS] [VOLUME]", "Create a volume", run, _FLAGS, maximum=1)
