# SPDX-License-Identifier: Apache-2.0
"""`hold network ls`: the list of networks."""

from __future__ import annotations

from holdfast.cli import filters, listing
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("filter", "f", "list", "Provide filter values (e.g. driver=bridge)"),
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("no-trunc", "", "bool", "Do not truncate the output"),
    Flag("quiet", "q", "bool", "Only display network IDs"),
)
_HEADS = {"ID": "NETWORK ID", "Name": "NAME", "Driver": "DRIVER", "Scope": "SCOPE"}


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints the networks by name."""
    query = {"filters": filters.parse(values["filter"])}
    networks = sorted(session.api.call("GET", "/networks", query=query), key=lambda network: network["Name"])
    rows = [
        {
            "ID": network["Id"] if values["no-trunc"] else network["Id"][:12],
            **{key: network[key] for key in ("Name", "Driver", "Scope")},
        }
        for network in networks
    ]
    if values["quiet"] and not values["format"]:
        for row in rows:
            print(row["ID"])
        return 0
    listing.show(rows, _HEADS, tuple(_HEADS), form=values["format"], kind="*formatter.networkContext")
    return 0


COMMAND = Command("network ls", "network ls [OPTIONS]", "List networks", run, _FLAGS, maximum=0)
