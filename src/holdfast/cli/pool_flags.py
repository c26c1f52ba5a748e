# SPDX-License-Identifier: Apache-2.0
"""`--subnet`, `--ip-range`, `--gateway` and `--aux-address` of `network create` as the API wants them: one entry per subnet.

Pure. Source: docker CLI 28 `cli/command/network/create.go`.
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Network, IPv6Network
    from typing import Any


def parse(
    subnets: Sequence[str], ranges: Sequence[str], gateways: Sequence[str], auxiliary: Sequence[str]
) -> list[dict[str, Any]]:
    """Gives every range, gateway and auxiliary address to the subnet that it lies in; InvalidArgument without one."""
    if len(subnets) < len(ranges) or len(subnets) < len(gateways):
        raise errors.InvalidArgument("every ip-range or gateway must have a corresponding subnet")
    pools: dict[str, dict[str, Any]] = {}
    for subnet in subnets:
        if any(_overlap(subnet, other) for other in pools):
            raise errors.InvalidArgument("multiple overlapping subnet configuration is not supported")
        pools[subnet] = {"Subnet": subnet}
    for text in ranges:
        pool = _pool_of(pools, text.partition("/")[0], f"no matching subnet for range {text}")
        if "IPRange" in pool:
            raise errors.InvalidArgument(
                f"cannot configure multiple ranges ({text}, {pool['IPRange']}) on the same subnet"
            )
        pool["IPRange"] = text
    for text in gateways:
        pool = _pool_of(pools, text, f"no matching subnet for gateway {text}")
        if "Gateway" in pool:
            raise errors.InvalidArgument(
                f"cannot configure multiple gateways ({text}, {pool['Gateway']}) for the same subnet"
            )
        pool["Gateway"] = text
    for text in auxiliary:
        name, _, address = text.partition("=")
        pool = _pool_of(pools, address, f"no matching subnet for aux-address {address}")
        pool.setdefault("AuxiliaryAddresses", {})[name] = address
    return list(pools.values())


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """None for what the daemon will refuse, with better words than ours."""
    import ipaddress

    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _overlap(one: str, other: str) -> bool:
    first, second = _network(one), _network(other)
    if first is None or second is None or first.version != second.version:
        return False
    return first.network_address in second or second.network_address in first


def _pool_of(pools: dict[str, dict[str, Any]], address: str, refusal: str) -> dict[str, Any]:
    wanted = _network(address)
    for subnet, pool in pools.items():
        network = _network(subnet)
        if wanted is not None and network is not None and wanted.network_address in network:
            return pool
    raise errors.InvalidArgument(refusal)
