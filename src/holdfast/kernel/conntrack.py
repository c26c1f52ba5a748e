# SPDX-License-Identifier: Apache-2.0
"""Connections that the kernel keeps track of: finds UDP ones by an end of theirs, and forgets them.

A stream of datagrams keeps the translation that its first one got, for as long as it flows; so when the translation is
changed the entry must go, or the stream never follows. Called by `networks.stale_flows`.
Source: linux/netfilter/nfnetlink_conntrack.h; CTA_FILTER from Linux 5.8 on.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from holdfast.kernel import netlink
from holdfast.kernel.netlink import Request, attribute, nested, parse_attributes

NETFILTER = 12
_GET, _DELETE = (1 << 8) | 1, (1 << 8) | 2
_GENERAL = struct.Struct("!BBH")
_TUPLE_ORIGINAL, _TUPLE_REPLY, _ID, _ZONE, _FILTER = 1, 2, 12, 18, 25
_TUPLE_ADDRESS, _TUPLE_PROTOCOL = 1, 2
_PROTOCOL_NUMBER, _SOURCE_PORT, _TARGET_PORT = 1, 2, 3
_BY_SOURCE, _BY_PROTOCOL, _BY_SOURCE_PORT, _BY_TARGET_PORT = 1, 8, 16, 32
_UDP = b"\x11"


class Tuple(NamedTuple):
    """One direction of a flow; addresses packed."""

    source: bytes
    target: bytes
    source_port: int
    target_port: int


class Flow(NamedTuple):
    """A flow as its first packet had it, and as answers to it look; `deletion` is the request that forgets it."""

    original: Tuple
    reply: Tuple
    deletion: Request

    @property
    def is_translated(self) -> bool:
        return (self.original.source, self.original.target) != (self.reply.target, self.reply.source)


def udp_flows(links: netlink.Socket, *, ipv6: bool) -> list[Flow]:
    """Every flow of a family. Raises NetlinkError; the kernel walks the whole table for this and for all below."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    query = nested(_TUPLE_ORIGINAL, *_tuple(family)) + _filter(original=_BY_PROTOCOL)
    return _dump(links, family, query)


def udp_answered_by(links: netlink.Socket, address: str, port: int) -> list[Flow]:
    """The flows whose answers come from there, whatever address they were sent to. Raises NetlinkError."""
    family, packed = _pack(address)
    ends = _tuple(family, port=(_SOURCE_PORT, port), source=packed)
    query = nested(_TUPLE_REPLY, *ends) + _filter(reply=_BY_SOURCE | _BY_PROTOCOL | _BY_SOURCE_PORT)
    return _dump(links, family, query)


def udp_sent_to_port(links: netlink.Socket, port: int, *, ipv6: bool) -> list[Flow]:
    """The flows that were sent to that port of any address. Raises NetlinkError."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    ends = _tuple(family, port=(_TARGET_PORT, port))
    query = nested(_TUPLE_ORIGINAL, *ends) + _filter(original=_BY_PROTOCOL | _BY_TARGET_PORT)
    return _dump(links, family, query)


def _pack(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _tuple(family: int, *, port: tuple[int, int] | None = None, source: bytes = b"") -> list[bytes]:
    found: list[bytes] = []
    if source:
        found.append(nested(_TUPLE_ADDRESS, attribute(3 if family == socket.AF_INET6 else 1, source)))
    ends = attribute(_PROTOCOL_NUMBER, _UDP)
    if port is not None:
        where, number = port
        ends += attribute(where, number.to_bytes(2, "big"))
    return [*found, nested(_TUPLE_PROTOCOL, ends)]


def _filter(*, original: int = 0, reply: int = 0) -> bytes:
    return nested(_FILTER, attribute(1, struct.pack("=I", original)), attribute(2, struct.pack("=I", reply)))


def _dump(links: netlink.Socket, family: int, query: bytes) -> list[Flow]:
    found = [_parse(payload) for payload in links.dump((_GET, 0, _GENERAL.pack(family, 0, 0) + query))]
    return [flow for flow in found if flow is not None]


def _parse(payload: bytes) -> Flow | None:
    attributes = parse_attributes(payload, _GENERAL.size)
    original = _parse_tuple(attributes.get(_TUPLE_ORIGINAL, b""))
    reply = _parse_tuple(attributes.get(_TUPLE_REPLY, b""))
    if original is None or reply is None:
        return None
    deletion = payload[: _GENERAL.size] + nested(_TUPLE_ORIGINAL, attributes[_TUPLE_ORIGINAL])
    for kind in (_ID, _ZONE):
        if kind in attributes:
            deletion += attribute(kind, attributes[kind])
    return Flow(original, reply, (_DELETE, 0, deletion))


def _parse_tuple(data: bytes) -> Tuple | None:
    parts = parse_attributes(data)
    addresses = parse_attributes(parts.get(_TUPLE_ADDRESS, b""))
    ports = parse_attributes(parts.get(_TUPLE_PROTOCOL, b""))
    source, target = addresses.get(1) or addresses.get(3), addresses.get(2) or addresses.get(4)
    if ports.get(_PROTOCOL_NUMBER) != _UDP or source is None or target is None:
        return None
    first, second = ports.get(_SOURCE_PORT, b""), ports.get(_TARGET_PORT, b"")
    return Tuple(source, target, int.from_bytes(first, "big"), int.from_bytes(second, "big"))
