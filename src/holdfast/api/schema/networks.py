# SPDX-License-Identifier: Apache-2.0
"""The JSON shapes of networks. Made by `api.routes.networks`. Source: Engine API v1.51; dockerd 28.5, all versions alike."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from holdfast.networks import Member, Network


class NetworkCreate(msgspec.Struct):
    """The body of `POST /networks/create`, as far as it is read."""

    Name: str = ""
    Driver: str = ""


class NetworkPrune(msgspec.Struct):
    """The answer of `POST /networks/prune`."""

    NetworksDeleted: list[str] | None


def render(network: Network, members: Sequence[Member]) -> dict[str, object]:
    """A network as clients see it."""
    configured: list[dict[str, str]] | None = None
    if network.subnet:
        configured = [{"Subnet": network.subnet, "Gateway": network.gateway}]
        if network.ip_range:
            configured[0]["IPRange"] = network.ip_range
    return {
        "Name": network.name,
        "Id": network.network_id,
        "Created": network.created_at,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": configured},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {member.container_id: _render_member(member) for member in members},
        "Options": network.options,
        "Labels": network.labels,
    }


def _render_member(member: Member) -> dict[str, str]:
    endpoint = member.endpoint
    return {
        "Name": member.name,
        "EndpointID": endpoint.endpoint_id,
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.ip_address}/{endpoint.prefix_length}" if endpoint.ip_address else "",
        "IPv6Address": "",
    }
