# SPDX-License-Identifier: Apache-2.0
"""Judges the subnets that a new network is asked to have, all at once, in Docker's words. Pure; called by `creation`.

Source: moby 28 `api/types/network/ipam.go`.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence

from holdfast import errors
from holdfast.networks import ipam
from holdfast.networks.network import PoolWish

_NO_CIDR = "invalid CIDR block notation"
_LENGTH = re.compile("0|[1-9][0-9]{0,2}")


def check(wishes: Sequence[PoolWish], *, enable_ipv6: bool) -> None:
    """Raises InvalidArgument with everything that is wrong."""
    found: list[str] = []
    for wish in wishes:
        subnet = _parse(wish.subnet)
        if subnet is None:
            found.append(f"invalid subnet {wish.subnet}: {_NO_CIDR}")
        elif subnet.version == 4 or enable_ipv6:
            found += _faults(wish, subnet)
    if found:
        raise errors.InvalidArgument(f"invalid network config:\n{listed(found)}")


def listed(faults: Sequence[str]) -> str:
    """One fault as it is, several as a list: how Docker joins errors."""
    return faults[0] if len(faults) == 1 else "\n".join([f"* {fault}" for fault in faults])


def _faults(wish: PoolWish, subnet: ipam.Subnet) -> list[str]:
    found: list[str] = []
    if not _is_canonical(wish.subnet, subnet):
        found.append(f"invalid subnet {wish.subnet}: it should be {subnet}")
    if wish.ip_range:
        found += [f"invalid ip-range {wish.ip_range}: {fault}" for fault in _range_faults(wish.ip_range, subnet)]
    if wish.gateway and (fault := _address_fault(wish.gateway, subnet)):
        found.append(f"invalid gateway {wish.gateway}: {fault}")
    for name, address in wish.auxiliary.items():
        if fault := _address_fault(address, subnet):
            found.append(f"invalid auxiliary address {name}: {fault}")
    return found


def _parse(text: str) -> ipam.Subnet | None:
    address, slash, length = text.partition("/")
    if not slash or not _LENGTH.fullmatch(length):
        return None
    try:
        ipam.read_address(address)
        return ipaddress.ip_network(f"{address}/{length}", strict=False)
    except ValueError:
        return None


def _is_canonical(text: str, subnet: ipam.Subnet) -> bool:
    return ipaddress.ip_address(text.partition("/")[0]) == subnet.network_address


def _range_faults(text: str, subnet: ipam.Subnet) -> list[str]:
    span = _parse(text)
    if span is None:
        return [_NO_CIDR]
    if span.version != subnet.version:
        return [f"parent subnet is an IPv{subnet.version} block"]
    found: list[str] = []
    if span.prefixlen < subnet.prefixlen:
        found.append(f"CIDR block is bigger than its parent subnet {subnet}")
    if not _is_canonical(text, span):
        found.append(f"it should be {span}")
    if not ipam.overlaps(span, subnet):
        found.append(f"parent subnet {subnet} doesn't contain ip-range")
    return found


def _address_fault(text: str, subnet: ipam.Subnet) -> str:
    try:
        address = ipam.read_address(text)
    except ValueError:
        return "invalid address"
    if address.version != subnet.version:
        return f"parent subnet is an IPv{subnet.version} block"
    return "" if address in subnet else f"parent subnet {subnet} doesn't contain this address"
