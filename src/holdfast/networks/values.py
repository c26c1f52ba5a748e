# SPDX-License-Identifier: Apache-2.0
"""What goes into `Controller.connect` and what comes out: plain frozen values, shared by this package's modules.

Records that outlive the daemon are in `networks.journal`, networks themselves in `networks.network`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import msgspec


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


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """What was asked of one network: `network` is its name or id, empty strings leave the choice to us."""

    network: str
    ip_address: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectRequest:
    """One container's whole network wish.

    `mode`: `bridge` (also `default` or empty), `host`, `none`, `container:ID`, or a network's name or id. `endpoints`
    refines or adds networks. `directory` gets hosts, resolv.conf and hostname; for `container:ID` it is the joined
    container's, whose files are shared. `dns*` override the daemon's and the host's.
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
    endpoints: tuple[EndpointSettings, ...] = ()
    sysctls: tuple[tuple[str, str], ...] = ()


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A container's place in one network; without an address for `host` and `none`."""

    endpoint_id: str
    network_id: str
    network_name: str
    driver: str
    container_interface: str = ""
    host_interface: str = ""
    ip_address: str = ""
    prefix_length: int = 0
    gateway: str = ""
    mac: str = ""
    aliases: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()


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

    `bridge`: the default bridge's interface; it is made when absent. `bip`: its address as CIDR. `default_pools`:
    (base, prefix length of each network) pairs.
    """

    bridge: str = "holdfast0"
    bip: str = ""
    mtu: int = 1500
    icc: bool = True
    ip_forward: bool = True
    ip_masquerade: bool = True
    firewall: bool = True
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
