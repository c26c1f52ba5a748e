# SPDX-License-Identifier: Apache-2.0
"""Ports as Docker writes them: `80/tcp`, `8000-8010/udp`, bindings with a host ip and a port or a range. Pure.

Called by `validation` and the job start. Source: go-connections nat.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Any

from holdfast.containers.config import PortBinding
from holdfast.errors import InvalidArgument

PROTOCOLS = ("tcp", "udp", "sctp")

Bindings = Mapping[str, list[PortBinding] | None]


def check(exposed: Mapping[str, Any] | None, bindings: Bindings | None) -> None:
    """Raises InvalidArgument for the first port that is none."""
    for text in exposed or ():
        parse(text)
    for text, wanted in (bindings or {}).items():
        parse(text)
        if "-" in text:
            raise InvalidArgument(f'invalid port specification: "{text.partition("/")[0]}"')
        for binding in wanted or ():
            parse_range(binding.host_port)
            _check_ip(binding.host_ip)


def parse(text: str) -> tuple[int, str]:
    """`80/tcp` as (80, tcp); a range's first port."""
    number, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise InvalidArgument(f"invalid proto: {protocol}")
    low, _ = parse_range(number)
    if not low:
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return low, protocol


def parse_range(text: str) -> tuple[int, int]:
    """`8000-8010` as two numbers; (0, 0) for an empty text: any port."""
    if not text:
        return 0, 0
    low, dash, high = text.partition("-")
    if not _is_port(low) or (dash and not _is_port(high)) or (dash and int(high) < int(low)):
        raise InvalidArgument(f'invalid port specification: "{text}"')
    return int(low), int(high or low)


def iter_exposed(exposed: Mapping[str, Any] | None) -> Iterator[tuple[int, str]]:
    """Every exposed port once, ranges taken apart: an image's `80/tcp` and Compose's `80` are one port."""
    seen: set[tuple[int, str]] = set()
    for text in exposed or ():
        number, _, protocol = text.partition("/")
        low, high = parse_range(number)
        for port in range(low, high + 1):
            wanted = (port, (protocol or "tcp").lower())
            if wanted not in seen:
                seen.add(wanted)
                yield wanted


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 5 and int(text) <= 65535


def _check_ip(text: str) -> None:
    if not text:
        return
    try:
        if "%" in text:
            raise ValueError("a zone is no address of the host")
        ipaddress.ip_address(text)
    except ValueError:
        raise InvalidArgument(f"invalid host ip address: {text}") from None
