# SPDX-License-Identifier: Apache-2.0
"""`--default-address-pool base=10.1.0.0/16,size=24` and the objects of daemon.json's `default-address-pools`. Pure.

Called by `daemon.config`. Source: dockerd(8) 28.5.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from typing import cast

from holdfast.errors import InvalidArgument


def shown(item: object) -> str:
    """An object of the file in the flag's words."""
    if isinstance(item, Mapping):
        pairs = cast("Mapping[str, object]", item)
        return ",".join(f"{key}={value}" for key, value in pairs.items())
    return str(item)


def parse(texts: Iterable[str]) -> tuple[tuple[str, int], ...]:
    """(base, prefix length of each network) pairs; InvalidArgument in dockerd's words where it has some."""
    return tuple(_parse_one(text) for text in texts)


def _parse_one(text: str) -> tuple[str, int]:
    fields = dict(part.strip().lower().partition("=")[::2] for part in text.split(","))
    unknown = [key for key in fields if key not in ("base", "size")]
    if unknown:
        raise InvalidArgument(f"invalid default address pool {text}: unexpected key '{unknown[0]}'")
    try:
        base = ipaddress.ip_network(fields.get("base", ""))
    except ValueError as error:
        raise InvalidArgument(f"invalid default address pool {text}: invalid base pool: {error}") from None
    size = fields.get("size", "")
    if not (size.isascii() and size.isdigit() and base.prefixlen <= int(size) <= base.max_prefixlen - 1):
        raise InvalidArgument(f"invalid default address pool {text}: invalid pools size: {size}")
    return str(base), int(size)
