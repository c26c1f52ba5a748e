# SPDX-License-Identifier: Apache-2.0
"""`hold network create`: make a network."""

from __future__ import annotations

from holdfast.cli import pool_flags
from holdfast.cli.container_body import pairs
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("attachable", "", "bool", "Enable manual container attachment"),
    Flag("aux-address", "", "list", "Auxiliary IPv4 or IPv6 addresses used by Network driver", placeholder="map"),
    Flag("config-from", "", "string", "The network from which to copy the configuration"),
    Flag("config-only", "", "bool", "Create a configuration only network"),
    Flag("driver", "d", "string", "Driver to manage the Network", default="bridge"),
    Flag("gateway", "", "list", "IPv4 or IPv6 Gateway for the master subnet", placeholder="ipSlice"),
    Flag("ingress", "", "bool", "Create swarm routing-mesh network"),
    Flag("internal", "", "bool", "Restrict external access to the network"),
    Flag("ip-range", "", "list", "Allocate container ip from a sub-range", placeholder="ipNetSlice"),
    Flag("ipam-driver", "", "string", "IP Address Management Driver", default="default"),
    Flag("ipam-opt", "", "list", "Set IPAM driver specific options", placeholder="map"),
    Flag("ipv4", "", "bool", "Enable or disable IPv4 address assignment", default=True),
    Flag("ipv6", "", "bool", "Enable or disable IPv6 address assignment"),
    Flag("label", "", "list", "Set metadata on a network"),
    Flag("opt", "o", "list", "Set driver specific options", placeholder="map"),
    Flag("scope", "", "string", "Control the network's scope"),
    Flag("subnet", "", "list", "Subnet in CIDR format that represents a network segment", placeholder="ipNetSlice"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the network's id."""
    made = session.api.call("POST", "/networks/create", body=_body(values, arguments[0]))
    if made.get("Warning"):
        session.say(f"WARNING: {made['Warning']}")
    print(made["Id"])
    return 0


def _body(values: Values, name: str) -> dict[str, Any]:
    pools = pool_flags.parse(values["subnet"], values["ip-range"], values["gateway"], values["aux-address"])
    body: dict[str, Any] = {
        "Name": name,
        "Driver": values["driver"],
        "Scope": values["scope"],
        "IPAM": {"Driver": values["ipam-driver"], "Options": pairs(values["ipam-opt"]), "Config": pools},
        "Internal": values["internal"],
        "Attachable": values["attachable"],
        "Ingress": values["ingress"],
        "ConfigOnly": values["config-only"],
        "ConfigFrom": {"Network": values["config-from"]} if values["config-from"] else None,
        "Options": pairs(values["opt"]),
        "Labels": pairs(values["label"]),
    }
    for flag, key in (("ipv4", "EnableIPv4"), ("ipv6", "EnableIPv6")):
        if values.was_set(flag):
            body[key] = values[flag]
    return body


COMMAND = Command(
    "network create", "network create [OPTIONS] NETWORK", "Create a network", run, _FLAGS, minimum=1, maximum=1
)
