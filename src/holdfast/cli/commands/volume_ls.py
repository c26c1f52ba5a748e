# SPDX-License-Identifier: Apache-2.0
"""`hold volume ls`: the list of volumes."""

from __future__ import annotations

from holdfast.cli import filters, listing
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("filter", "f", "list", "Provide filter values (e.g. dangling=true)"),
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("quiet", "q", "bool", "Only display volume names"),
)
_HEADS = {"Driver": "DRIVER", "Name": "VOLUME NAME", "Scope": "SCOPE", "Mountpoint": "MOUNTPOINT"}


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints the volumes by name."""
    query = {"filters": filters.parse(values["filter"])}
    volumes = sorted(
        session.api.call("GET", "/volumes", query=query)["Volumes"] or (), key=lambda volume: volume["Name"]
    )
    rows = [{key: volume[key] for key in _HEADS} for volume in volumes]
    if values["quiet"] and not values["format"]:
        for row in rows:
            print(row["Name"])
        return 0
    listing.show(rows, _HEADS, ("Driver", "Name"), form=values["format"], kind="*formatter.volumeContext")
    return 0


COMMAND = Command("volume ls", "volume ls [OPTIONS]", "List volumes", run, _FLAGS, maximum=0)
