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
_COLUMNS = ("ID", "Name", "Driver", "Scope")
_HEADS = {
    "ID": "NETWORK ID",
    **{name: name.upper() for name in ("Name", "Driver", "Scope", "IPv4", "IPv6", "Internal", "Labels")},
    "CreatedAt": "CREATED AT",
}


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints the networks by name."""
    query = {"filters": filters.parse(values["filter"])}
    networks = sorted(session.api.call("GET", "/networks", query=query), key=lambda network: network["Name"])
    rows = [
        {
            "ID": network["Id"] if values["no-trunc"] else network["Id"][:12],
            **{key: network[key] for key in ("Name", "Driver", "Scope")},
            "IPv4": _flag(network["EnableIPv4"]),
            "IPv6": _flag(network["EnableIPv6"]),
            "Internal": _flag(network["Internal"]),
            "Labels": ",".join(f"{key}={value}" for key, value in sorted(network["Labels"].items())),
            "CreatedAt": _moment(network["Created"]),
        }
        for network in networks
    ]
    if values["quiet"] and not values["format"]:
        for row in rows:
            print(row["ID"])
        return 0
    listing.show(rows, _HEADS, _COLUMNS, form=values["format"], kind="*formatter.networkContext")
    return 0


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _moment(text: str) -> str:
    """RFC 3339 as Go's Time.String has it."""
    return text.replace("T", " ").replace("Z", " +0000 UTC")


COMMAND = Command("network ls", "network ls [OPTIONS]", "List networks", run, _FLAGS, maximum=0)
