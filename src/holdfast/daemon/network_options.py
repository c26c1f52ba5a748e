# SPDX-License-Identifier: Apache-2.0
"""Options for networks whose values are more than a text. Pure; called by `daemon.config`. Source: dockerd(8) 28.5."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import cast

from holdfast.errors import InvalidArgument


def shown_pool(item: object) -> str:
    """An object of daemon.json's `default-address-pools` in the flag's words; anything else as text."""
    if isinstance(item, Mapping):
        pairs = cast("Mapping[str, object]", item)
        return ",".join([f"{key}={value}" for key, value in pairs.items()])
    return str(item)


def parse_pools(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """`base=10.0.0.0/8,size=24` as (base, prefix length of each network) pairs; InvalidArgument names the text."""
    return tuple([_parse_pool(text) for text in texts])


def _parse_pool(text: str) -> tuple[str, int]:
    parts = [part.strip().lower().partition("=") for part in text.split(",")]
    fields = {key: value for key, _, value in parts}
    unknown = [key for key in fields if key not in ("base", "size")]
    if unknown:
        raise InvalidArgument(f"invalid default address pool {text}: unexpected key '{unknown[0]}'")
    try:
        base = ipaddress.ip_network(fields.get("base", ""))
    except ValueError as error:
        raise InvalidArgument(f"invalid default address pool {text}: invalid base pool: {error}") from None
    size = fields.get("size", "")
    if not (size.isascii() and size.isdigit() and base.prefixlen <= int(size) < base.max_prefixlen):
        raise InvalidArgument(f"invalid default address pool {text}: invalid pools size: {size}")
    return str(base), int(size)


def registries(texts: Iterable[str]) -> tuple[str, ...]:
    """Hosts with their ports, and ranges of addresses; a scheme goes, as with dockerd. InvalidArgument names the text."""
    return tuple([_registry(text) for text in texts])


def _registry(text: str) -> str:
    for scheme in ("http://", "https://"):
        if text.lower().startswith(scheme):
            text = text[len(scheme) :]
    if "/" in text:
        try:
            ipaddress.ip_network(text, strict=False)
        except ValueError:
            raise InvalidArgument(f"insecure registry {text} is not valid") from None
    return text


def check_ipv6(fixed: str, bip6: str) -> None:
    """The default bridge's IPv6 range and address must be such; the range lies in the address's subnet."""
    inner: ipaddress.IPv6Network | None = None
    if fixed:
        try:
            inner = ipaddress.IPv6Network(fixed, strict=False)
        except ValueError:
            raise InvalidArgument(f"invalid fixed-cidr-v6: '{fixed}' is not a valid IPv6 subnet") from None
    if not bip6:
        return
    try:
        outer = ipaddress.IPv6Interface(bip6).network
    except ValueError as error:
        raise InvalidArgument(f"invalid bip6 {bip6}: {error}") from None
    if inner is not None and not inner.subnet_of(outer):
        raise InvalidArgument(f"invalid fixed-cidr-v6 {fixed}: it is not inside the bridge's subnet {outer}")


def check_fixed_cidr(fixed: str, bip: str) -> None:
    """The default bridge's range must be one, and lie in its subnet where that is known."""
    if not fixed:
        return
    try:
        inner = ipaddress.IPv4Network(fixed, strict=False)
        outer = ipaddress.IPv4Interface(bip).network if bip else None
    except ValueError as error:
        raise InvalidArgument(f"invalid fixed-cidr {fixed}: {error}") from None
    if outer is not None and not inner.subnet_of(outer):
        raise InvalidArgument(f"invalid fixed-cidr {fixed}: it is not inside the bridge's subnet {outer}")
