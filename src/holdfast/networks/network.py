# SPDX-License-Identifier: Apache-2.0
"""A network as it is kept in `metadata`, what its options mean, and the three that every daemon has: bridge, host, none."""

from __future__ import annotations

import secrets
import time

import msgspec

from holdfast.networks.values import NetworkConfig

BUCKET = "networks"
BRIDGE_NAME = "com.docker.network.bridge.name"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
HOST_ADDRESS4 = "com.docker.network.host_ipv4"
HOST_ADDRESS6 = "com.docker.network.host_ipv6"
GATEWAY_MODE4 = "com.docker.network.bridge.gateway_mode_ipv4"
GATEWAY_MODE6 = "com.docker.network.bridge.gateway_mode_ipv6"
INHIBIT_IPV4 = "com.docker.network.bridge.inhibit_ipv4"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
TRUSTED_INTERFACES = "com.docker.network.bridge.trusted_host_interfaces"
PREVENT_SPOOFING = "holdfast.network.prevent_spoofing"
MTU = "com.docker.network.driver.mtu"
INTERFACE_PREFIX = "com.docker.network.container_iface_prefix"
PARENT = "parent"
IPVLAN_MODE = "ipvlan_mode"
DEFAULT_GATEWAYS = {False: "DefaultGatewayIPv4", True: "DefaultGatewayIPv6"}
"""Names of auxiliary addresses that containers of a bridge have their default routes by, instead of the bridge's."""
PREDEFINED = ("bridge", "host", "none")
_TRUE = frozenset(("1", "t", "T", "TRUE", "true", "True"))


class PoolWish(msgspec.Struct, frozen=True, kw_only=True):
    """One subnet as its user described it; empty texts leave the choice to us."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary: dict[str, str] = {}


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """One subnet as it is: whole, and with the gateway's address where the network has one."""

    subnet: str
    gateway: str = ""
    ip_range: str = ""
    auxiliary: dict[str, str] = {}

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.subnet


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """One network. `wished` are its subnets as they were asked for, `pools` those it has; none where none are given.

    A `config_only` network is nothing but a template that others name in `config_from`. An `is_retired` one was removed,
    and is remembered only until the host has lost it, too.
    """

    network_id: str
    name: str
    driver: str
    created_at: str
    scope: str = "local"
    enable_ipv4: bool = True
    enable_ipv6: bool = False
    pools: tuple[Pool, ...] = ()
    wished: tuple[PoolWish, ...] = ()
    ipam_driver: str = "default"
    ipam_options: dict[str, str] | None = None
    internal: bool = False
    attachable: bool = False
    config_only: bool = False
    is_retired: bool = False
    config_from: str = ""
    options: dict[str, str] = {}
    labels: dict[str, str] = {}

    @property
    def is_predefined(self) -> bool:
        return self.name in PREDEFINED

    @property
    def has_names(self) -> bool:
        """Whether its containers find each other by name."""
        return not self.is_predefined and not self.config_only

    @property
    def ipv4(self) -> Pool | None:
        """The first IPv4 subnet."""
        return next((pool for pool in self.pools if not pool.is_ipv6), None)

    @property
    def ipv6(self) -> Pool | None:
        """The first IPv6 subnet."""
        return next((pool for pool in self.pools if pool.is_ipv6), None)

    @property
    def subnets(self) -> tuple[str, ...]:
        return tuple([pool.subnet for pool in self.pools])

    @property
    def bridge_interface(self) -> str:
        return self.options.get(BRIDGE_NAME) or f"br-{self.network_id[:12]}"

    @property
    def interface_prefix(self) -> str:
        """What the container's interfaces are called, before their number."""
        return self.options.get(INTERFACE_PREFIX) or "eth"

    @property
    def mtu(self) -> int:
        """0: as the kernel has it."""
        return int(self.options.get(MTU) or 0)

    @property
    def has_icc(self) -> bool:
        return self._is_on(ENABLE_ICC)

    @property
    def prevents_spoofing(self) -> bool:
        """Whether a container may speak with its own addresses only."""
        return self.options.get(PREVENT_SPOOFING, "") in _TRUE

    @property
    def is_masqueraded(self) -> bool:
        return not self.internal and self._is_on(ENABLE_MASQUERADE)

    @property
    def host_binding_ip(self) -> str:
        return self.options.get(HOST_BINDING) or "0.0.0.0"

    @property
    def has_host_address(self) -> bool:
        """False when the host is not to have an IPv4 address in the network."""
        return self.options.get(INHIBIT_IPV4, "") not in _TRUE

    @property
    def routes_by_device(self) -> bool:
        """Whether a default route names the interface alone: the parent's host routes then."""
        is_routing = self.driver == "ipvlan" and self.options.get(IPVLAN_MODE, "").startswith("l3")
        return is_routing and not self.internal and bool(self.options.get(PARENT))

    def leaves_as(self, *, ipv6: bool) -> str:
        """The host's address that its containers leave with; empty: that of the way out."""
        address = self.options.get(HOST_ADDRESS6 if ipv6 else HOST_ADDRESS4, "")
        return "" if address in ("0.0.0.0", "::") else address

    def gateway_mode(self, *, ipv6: bool) -> str:
        """nat, nat-unprotected, routed or isolated."""
        return self.options.get(GATEWAY_MODE6 if ipv6 else GATEWAY_MODE4) or "nat"

    @property
    def trusted_interfaces(self) -> tuple[str, ...]:
        """Interfaces of the host from which containers may be reached directly."""
        return tuple([name for name in self.options.get(TRUSTED_INTERFACES, "").split(":") if name])

    def _is_on(self, option: str) -> bool:
        return self.options.get(option, "true") in _TRUE


def new_id() -> str:
    return secrets.token_hex(32)


def format_time(now_nanos: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as the API prints it."""
    seconds, nanos = divmod(now_nanos, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{nanos:09d}Z"


def default_bridge_options(config: NetworkConfig) -> dict[str, str]:
    return {
        DEFAULT_BRIDGE: "true",
        ENABLE_ICC: str(config.icc).lower(),
        ENABLE_MASQUERADE: str(config.ip_masquerade and config.firewall).lower(),
        HOST_BINDING: config.host_binding_ip,
        BRIDGE_NAME: config.bridge,
        MTU: str(config.mtu),
    }
