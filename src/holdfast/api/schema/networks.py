# SPDX-License-Identifier: Apache-2.0
"""The JSON shapes of networks. Made by `api.routes.networks`. Source: Engine API v1.51; dockerd 28.5, all versions alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from holdfast.containers.config import EndpointSettings
from holdfast.networks import Member, Network, NetworkWish, PoolWish


class PoolConfig(msgspec.Struct):
    """One subnet that is asked for."""

    Subnet: str = ""
    IPRange: str = ""
    Gateway: str = ""
    AuxiliaryAddresses: dict[str, str] | None = None


class IPAM(msgspec.Struct):
    """How addresses are chosen."""

    Driver: str = ""
    Options: dict[str, str] | None = None
    Config: list[PoolConfig] | None = None


class ConfigReference(msgspec.Struct):
    """The network whose configuration is taken."""

    Network: str = ""


class NetworkCreate(msgspec.Struct):
    """The body of `POST /networks/create`."""

    Name: str = ""
    Driver: str = ""
    Scope: str = ""
    EnableIPv4: bool | None = None
    EnableIPv6: bool | None = None
    IPAM: IPAM | None = None
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    ConfigOnly: bool = False
    ConfigFrom: ConfigReference | None = None
    Options: dict[str, str] | None = None
    Labels: dict[str, str] | None = None
    CheckDuplicate: bool = False


class NetworkCreated(msgspec.Struct):
    """The answer of `POST /networks/create`."""

    Id: str
    Warning: str = ""


class NetworkConnect(msgspec.Struct):
    """The body of `POST /networks/{id}/connect`."""

    Container: str = ""
    EndpointConfig: EndpointSettings | None = None


class NetworkDisconnect(msgspec.Struct):
    """The body of `POST /networks/{id}/disconnect`."""

    Container: str = ""
    Force: bool = False


class NetworkPrune(msgspec.Struct):
    """The answer of `POST /networks/prune`."""

    NetworksDeleted: list[str] | None


def wish_of(body: NetworkCreate) -> NetworkWish:
    """What a body asks for."""
    ipam = body.IPAM or IPAM()
    return NetworkWish(
        name=body.Name,
        driver=body.Driver,
        scope=body.Scope,
        enable_ipv4=body.EnableIPv4,
        enable_ipv6=body.EnableIPv6,
        pools=tuple(
            PoolWish(
                subnet=pool.Subnet,
                ip_range=pool.IPRange,
                gateway=pool.Gateway,
                auxiliary=pool.AuxiliaryAddresses or {},
            )
            for pool in ipam.Config or ()
        ),
        ipam_driver=ipam.Driver,
        ipam_options=ipam.Options,
        internal=body.Internal,
        attachable=body.Attachable,
        ingress=body.Ingress,
        config_only=body.ConfigOnly,
        config_from=body.ConfigFrom.Network if body.ConfigFrom else "",
        options=body.Options or {},
        labels=body.Labels or {},
    )


def render(network: Network, members: Sequence[Member]) -> dict[str, object]:
    """A network as clients see it."""
    return {
        "Name": network.name,
        "Id": network.network_id,
        "Created": network.created_at,
        "Scope": network.scope,
        "Driver": network.driver,
        "EnableIPv4": network.enable_ipv4,
        "EnableIPv6": network.enable_ipv6,
        "IPAM": {"Driver": network.ipam_driver, "Options": network.ipam_options, "Config": _pools(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": network.config_from},
        "ConfigOnly": network.config_only,
        "Containers": {member.container_id: _render_member(member) for member in members},
        "Options": network.options,
        "Labels": network.labels,
    }


def _pools(network: Network) -> list[dict[str, object]] | None:
    """Subnets as they were asked for, IPv4 before IPv6; then those that were our choice, with their gateways."""
    wished = sorted((wish for wish in network.wished if wish.subnet), key=lambda wish: ":" in wish.subnet)
    found = [_pool(wish.subnet, wish.ip_range, wish.gateway, wish.auxiliary) for wish in wished]
    families = {":" in wish.subnet for wish in wished}
    found += [_pool(pool.subnet, "", pool.gateway, {}) for pool in network.pools if pool.is_ipv6 not in families]
    return found or None


def _pool(subnet: str, ip_range: str, gateway: str, auxiliary: Mapping[str, str]) -> dict[str, object]:
    more = {"IPRange": ip_range, "Gateway": gateway, "AuxiliaryAddresses": auxiliary}
    return {"Subnet": subnet, **{name: value for name, value in more.items() if value}}


def _render_member(member: Member) -> dict[str, str]:
    endpoint = member.endpoint
    return {
        "Name": member.name,
        "EndpointID": endpoint.endpoint_id,
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.ip_address}/{endpoint.prefix_length}" if endpoint.ip_address else "",
        "IPv6Address": f"{endpoint.ipv6_address}/{endpoint.ipv6_prefix_length}" if endpoint.ipv6_address else "",
    }
