# SPDX-License-Identifier: Apache-2.0
"""Networks for `import holdfast`: made by `Engine.create_network`, found by `Engine.network` and `networks`.

Every method is one Engine API call; errors are the classes of `holdfast.errors`, with the daemon's words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdfast.client.api import Api


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """How a network is made; every field's default is Docker's. Without `subnets` the daemon chooses them."""

    driver: str = "bridge"
    subnets: Sequence[str] = ()
    has_ipv6: bool = False
    is_internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    labels: Mapping[str, str] = field(default_factory=dict[str, str])

    def body(self, name: str) -> dict[str, Any]:
        """The body of NetworkCreate."""
        return {
            "Name": name,
            "Driver": self.driver,
            "EnableIPv6": self.has_ipv6,
            "IPAM": {"Driver": "default", "Config": [{"Subnet": subnet} for subnet in self.subnets]},
            "Internal": self.is_internal,
            "Options": dict(self.options),
            "Labels": dict(self.labels),
        }


class Network:
    """One network, known by its id; methods ask the daemon each time."""

    def __init__(self, api: Api, identity: str) -> None:
        self._api = api
        self.id = identity

    def __repr__(self) -> str:
        return f"Network({self.id[:12]!r})"

    def inspect(self) -> dict[str, Any]:
        """The whole record, as NetworkInspect gives it."""
        document: dict[str, Any] = self._api.call("GET", f"/networks/{self.id}")
        return document

    @property
    def name(self) -> str:
        """The name."""
        name: str = self.inspect()["Name"]
        return name

    def connect(self, container: str, *, aliases: Sequence[str] = (), address: str = "") -> None:
        """Puts a container (name or id) into it, running or not; `address`: its IPv4 address there."""
        endpoint: dict[str, Any] = {"Aliases": list(aliases)}
        if address:
            endpoint["IPAMConfig"] = {"IPv4Address": address}
        body = {"Container": container, "EndpointConfig": endpoint}
        self._api.call("POST", f"/networks/{self.id}/connect", body=body)

    def disconnect(self, container: str) -> None:
        """Takes a container out of it."""
        self._api.call("POST", f"/networks/{self.id}/disconnect", body={"Container": container})

    def remove(self) -> None:
        """Removes it; Forbidden while a container is in it."""
        self._api.call("DELETE", f"/networks/{self.id}")
