# SPDX-License-Identifier: Apache-2.0
"""What the rules must know: of a network, of a published port, of an interface that may only speak for itself."""

from __future__ import annotations

from dataclasses import dataclass

NAT, ROUTED, UNPROTECTED, ISOLATED = "nat", "routed", "nat-unprotected", "isolated"


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRules:
    """A bridge network. The modes say how the world reaches its containers by each protocol (gateway modes of Docker):

    `nat` by published ports only, `routed` by routing to the published ports, `nat-unprotected` by routing to any port,
    `isolated` not at all. `masquerade`: the containers leave with the host's address, or with `leave_as`.
    `trusted`: interfaces of the host from which any port of a container may be reached by routing.
    """

    interface: str
    subnets: tuple[str, ...] = ()
    icc: bool = True
    internal: bool = False
    masquerade: bool = True
    mode: str = NAT
    mode6: str = NAT
    leave_as: str = ""
    leave_as6: str = ""
    trusted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRule:
    """One published port. `is_routed`: reached by routing to the container, at the container's own port."""

    protocol: str
    host_ip: str
    host_port: int
    container_ip: str
    container_port: int
    is_routed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRule:
    """A port of one container that another one on a bridge without inter-container communication may reach."""

    interface: str
    source_ip: str
    container_ip: str
    protocol: str
    container_port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The only addresses that may come in through a bridge port (of a network that asks for it)."""

    interface: str
    mac: str
    ipv4: str = ""
    ipv6: str = ""
