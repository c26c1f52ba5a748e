# SPDX-License-Identifier: Apache-2.0
"""Elements of an existing nftables map by raw netlink: one message, no look at the rest of the rule set.

libnftables reads the whole table's description before every command (0.15-0.35 ms with the table of
`networks.firewall`); an element needs none of it (0.01 ms). Everything else stays with `kernel.nftables`.
Source: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h; kernel/test_nftables.py compares with `nft -j`.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable

from holdfast.kernel import netlink
from holdfast.kernel.netlink import Request, attribute, nested, text_attribute

_NETFILTER = 12
_SUBSYSTEM = 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_ELEMENT, _DELETE_ELEMENT = (_SUBSYSTEM << 8) | 12, (_SUBSYSTEM << 8) | 14
_GENERAL = struct.Struct("!BBH")
_INET = 1
_LIST_TABLE, _LIST_SET, _LIST_ELEMENTS = 1, 2, 3
_LIST_ELEMENT = 1
_ELEMENT_KEY, _ELEMENT_DATA = 1, 2
_DATA_VALUE = 1
_BATCH = _GENERAL.pack(0, 0, _SUBSYSTEM)


def open_socket() -> netlink.Socket:
    """A socket for `change`, in the namespace of the calling thread."""
    return netlink.Socket(protocol=_NETFILTER)


def concatenate(*parts: bytes) -> bytes:
    """A key or value of several fields: each padded to four bytes, numbers in network order."""
    return b"".join([part + b"\0" * (-len(part) % 4) for part in parts])


def address(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


def port(number: int) -> bytes:
    return number.to_bytes(2, "big")


def add(table: str, name: str, elements: Iterable[tuple[bytes, bytes]]) -> Request:
    """Adds (key, value) pairs to a map of an inet table (to a set: no value); EEXIST: a key leads elsewhere already."""
    return _NEW_ELEMENT, netlink.CREATE, _elements(table, name, elements)


def delete(table: str, name: str, keys: Iterable[bytes]) -> Request:
    """Deletes keys; ENOENT when one is not there."""
    return _DELETE_ELEMENT, 0, _elements(table, name, [(key, b"") for key in keys])


def change(links: netlink.Socket, *requests: Request) -> None:
    """Makes all the changes in one transaction, or none; raises NetlinkError."""
    links.execute(*requests, around=((_BATCH_BEGIN, 0, _BATCH), (_BATCH_END, 0, _BATCH)))


def _elements(table: str, name: str, elements: Iterable[tuple[bytes, bytes]]) -> bytes:
    packed = [
        nested(
            _LIST_ELEMENT,
            nested(_ELEMENT_KEY, attribute(_DATA_VALUE, key)),
            *([nested(_ELEMENT_DATA, attribute(_DATA_VALUE, value))] if value else []),
        )
        for key, value in elements
    ]
    return (
        _GENERAL.pack(_INET, 0, 0)
        + text_attribute(_LIST_TABLE, table)
        + text_attribute(_LIST_SET, name)
        + nested(_LIST_ELEMENTS, *packed)
    )
