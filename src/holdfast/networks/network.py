# SPDX-License-Identifier: Apache-2.0
"""A network as it is kept in `metadata`, and the three that every daemon has: bridge, host, none."""

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
MTU = "com.docker.network.driver.mtu"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
PREDEFINED = ("bridge", "host", "none")


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """One network; `subnet` and `gateway` are empty where the driver gives no addresses."""

    network_id: str
    name: str
    driver: str
    created_at: str
    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    auxiliary: dict[str, str] = {}
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}

    @property
    def is_predefined(self) -> bool:
        return self.name in PREDEFINED

    @property
    def bridge_interface(self) -> str:
        return self.options.get(BRIDGE_NAME) or f"br-{self.network_id[:12]}"

    @property
    def mtu(self) -> int:
        return int(self.options.get(MTU) or 1500)

    @property
    def has_icc(self) -> bool:
        return self.options.get(ENABLE_ICC, "true") != "false"

    @property
    def is_masqueraded(self) -> bool:
        return not self.internal and self.options.get(ENABLE_MASQUERADE, "true") != "false"

    @property
    def host_binding_ip(self) -> str:
        return self.options.get(HOST_BINDING) or "0.0.0.0"


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
        ENABLE_MASQUERADE: str(config.ip_masquerade).lower(),
        HOST_BINDING: config.host_binding_ip,
        BRIDGE_NAME: config.bridge,
        MTU: str(config.mtu),
    }
