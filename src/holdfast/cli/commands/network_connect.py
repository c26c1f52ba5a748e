# SPDX-License-Identifier: Apache-2.0
"""`hold network connect`: put a container into one more network, running or not."""

from __future__ import annotations

from holdfast.cli.container_body import pairs
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("alias", "", "list", "Add network-scoped alias for the container"),
    Flag("driver-opt", "", "list", "driver options for the network"),
    Flag(
        "gw-priority",
        "",
        "int",
        "Highest gw-priority provides the default gateway. Accepts positive and negative values",
    ),
    Flag("ip", "", "string", 'IPv4 address (e.g., "172.30.100.104")'),
    Flag("ip6", "", "string", 'IPv6 address (e.g., "2001:db8::33")'),
    Flag("link", "", "list", "Add link to another container"),
    Flag("link-local-ip", "", "list", "Add a link-local address for the container"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Says nothing when it went well."""
    addresses = {"IPv4Address": values["ip"], "IPv6Address": values["ip6"], "LinkLocalIPs": values["link-local-ip"]}
    endpoint = {
        "IPAMConfig": {name: value for name, value in addresses.items() if value},
        "Links": values["link"] or None,
        "Aliases": values["alias"] or None,
        "DriverOpts": pairs(values["driver-opt"]),
        "GwPriority": values["gw-priority"],
    }
    body = {"Container": arguments[1], "EndpointConfig": endpoint}
    session.api.call("POST", f"/networks/{arguments[0]}/connect", body=body)
    return 0


COMMAND = Command(
    "network connect",
    "network connect [OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    run,
    _FLAGS,
    minimum=2,
    maximum=2,
)
