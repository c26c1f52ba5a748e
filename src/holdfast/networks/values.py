# SPDX-License-Identifier: Apache-2.0
"""What goes into `Controller.connect` and what comes out: plain frozen values, shared by this package's modules.

Records that outlive the daemon are in `networks.journal`, networks themselves in `networks.network`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from holdfast.networks import ipam


@dataclass(frozen=True, slots=True, kw_only=True)
class PortBinding:
    """A wish: publish a container's port. Start and end 0: any free port; a range: the first free one in it."""

    container_port: int
    protocol: str = "tcp"
    host_ip: str = ""
    host_port_start: int = 0
    host_port_end: int = 0


class BoundPort(msgspec.Struct, frozen=True, kw_only=True):
    """A fact: the container's port answers on this address (0.0.0.0 for all) and port of the host."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int

    @property
    def key(self) -> str:
        """`tcp [::]:8080`: no two of one host are the same."""
        return f"{self.protocol} {f'[{self.host_ip}]' if ':' in self.host_ip else self.host_ip}:{self.host_port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRule:
    """A published port that the relay carries to a container's address."""

    port: BoundPort
    container_ip: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """What was asked of one network: `network` is its name or id, empty strings leave the choice to us.

    `links`: (what the container calls another one, that one's name) pairs. `gateway_priority`: the network of the
    highest one gets the default route and the published ports.
    """

    network: str
    ip_address: str = ""
    ipv6_address: str = ""
    link_local_addresses: tuple[str, ...] = ()
    mac: str = ""
    aliases: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    driver_options: tuple[tuple[str, str], ...] = ()
    gateway_priority: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """One container's whole network wish.

    `mode`: `bridge` (also `default` or empty), `host`, `none`, `container:ID`, or a network's name or id. `endpoints`
    are all its networks; None: the mode's alone. `directory` gets hosts, resolv.conf and hostname; for
    `container:ID` it is the joined container's, whose files are shared. `dns*` override the daemon's and the host's.
    `linked`: ids of the containers whose exposed ports it reaches in the default bridge though others do not (icc off).
    `exposed`: its own such ports, (number, protocol) pairs. `ipv6`: false for a container that switches the protocol off.
    """

    container_id: str
    name: str
    hostname: str
    directory: Path
    mode: str = "bridge"
    domainname: str = ""
    ports: tuple[PortBinding, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    mac: str = ""
    endpoints: tuple[EndpointSettings, ...] | None = None
    sysctls: tuple[tuple[str, str], ...] = ()
    linked: tuple[str, ...] = ()
    exposed: tuple[tuple[int, str], ...] = ()
    ipv6: bool = True


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A container's place in one network; without an address for `host` and `none`.

    `sysctls` are (name below /proc/sys/net, value) pairs for its interface. `routes_by_device`: the default route
    needs no gateway.
    """

    endpoint_id: str
    network_id: str
    network_name: str
    driver: str
    container_interface: str = ""
    host_interface: str = ""
    ip_address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    ipv6_address: str = ""
    ipv6_prefix_length: int = 0
    ipv6_gateway: str = ""
    link_local_addresses: tuple[str, ...] = ()
    mac: str = ""
    dns_names: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()
    gateway_priority: int = 0
    is_internal: bool = False
    has_names: bool = False
    routes_by_device: bool = False

    def routes(self, *, ipv6: bool) -> bool:
        """Whether the default route of this family can lead through this endpoint."""
        has_address = self.ipv6_address if ipv6 else self.ip_address
        return bool(has_address and ((self.ipv6_gateway if ipv6 else self.gateway) or self.routes_by_device))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Where the container's process finds its network; `netns_path` is None for the host's own namespace."""

    sandbox_id: str
    netns_path: str | None
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[BoundPort, ...] = ()
    hosts_path: Path | None = None
    resolv_conf_path: Path | None = None
    hostname_path: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """The daemon's options for networks, under dockerd's own names.

    `bridge`: the default bridge's interface; made when absent; `none`: no such network. `bip`: its address as CIDR.
    `default_pools`: (base, prefix length of each network) pairs. `default_options`: by driver, what a new network has
    that says nothing else. `host_id`: what this host's IPv6 range is made from.
    `firewall`, `firewall6`: whether rules are ours to make, by protocol. `relay`: see `networks.relay`.
    """

    host_id: str = ""

    bridge: str = "holdfast0"
    bip: str = ""
    fixed_cidr: str = ""
    default_gateway: str = ""
    ipv6: bool = False
    bip6: str = ""
    fixed_cidr6: str = ""
    default_gateway6: str = ""
    mtu: int = 1500
    icc: bool = True
    ip_forward: bool = True
    ip_masquerade: bool = True
    firewall: bool = True
    firewall6: bool = True
    relay: bool = True
    host_binding_ip: str = "0.0.0.0"
    host_gateway_ip: str = ""
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_options: tuple[str, ...] = ()
    default_pools: tuple[tuple[str, int], ...] = field(
        default=(
            ("172.17.0.0/16", 16),
            ("172.18.0.0/16", 16),
            ("172.19.0.0/16", 16),
            ("172.20.0.0/14", 16),
            ("172.24.0.0/14", 16),
            ("172.28.0.0/14", 16),
            ("192.168.0.0/16", 20),
        )
    )
    default_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict[str, Mapping[str, str]])

    @property
    def pools(self) -> list[tuple[str, int]]:
        """The default pools; with this host's own IPv6 range unless there is one of IPv6 among them."""
        given = list(self.default_pools)
        if not any(":" in base for base, _length in given):
            given.append(ipam.unique_local_pool(self.host_id))
        return given
