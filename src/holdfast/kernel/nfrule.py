# SPDX-License-Identifier: Apache-2.0
"""A table, its chains and rules by raw netlink: just the expressions that shift a port without tracking connections.

`kernel.nftables` is the way for everything else; this one costs 0.1 ms in a fresh network namespace, needs no library
and no memory, and so serves the resolver process (`networks.dns`). Requests go through `nfelement.change`.
Source: linux/netfilter/nf_tables.h; kernel/networks/test_dns_mapping.py compares with `nft`.
"""

from __future__ import annotations

import struct

from holdfast.kernel.netlink import CREATE, EXCLUSIVE, Request, attribute, nested, text_attribute

IPV4 = 2
HOOK_INPUT, HOOK_OUTPUT = 1, 3
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2

_SUBSYSTEM = 10
_NEW_TABLE, _DELETE_TABLE, _NEW_CHAIN, _NEW_RULE = [(_SUBSYSTEM << 8) | number for number in (0, 2, 3, 6)]
_GENERAL = struct.Struct("!BBH").pack(IPV4, 0, 0)
_APPEND = 0x800
_TABLE_NAME = 1
_CHAIN_TABLE, _CHAIN_NAME, _CHAIN_HOOK, _CHAIN_TYPE = 1, 3, 4, 7
_HOOK_NUMBER, _HOOK_PRIORITY = 1, 2
_RULE_TABLE, _RULE_CHAIN, _RULE_EXPRESSIONS = 1, 2, 4
_LIST_ELEMENT = 1
_EXPRESSION_NAME, _EXPRESSION_DATA = 1, 2
_REGISTER = struct.pack("!I", 1)
_EQUAL = struct.pack("!I", 0)
_DATA_VALUE = 1
_META_L4PROTO = 16
_CHECKSUM_INTERNET = 1


def _u32(value: int) -> bytes:
    return struct.pack("!I", value)


def add_table(name: str) -> Request:
    """Adds an ip table; EEXIST when there is one of that name."""
    return _NEW_TABLE, CREATE | EXCLUSIVE, _GENERAL + text_attribute(_TABLE_NAME, name)


def delete_table(name: str) -> Request:
    """Deletes an ip table with all that is in it; the kernel waits for a grace period then, some 10 ms."""
    return _DELETE_TABLE, 0, _GENERAL + text_attribute(_TABLE_NAME, name)


def add_chain(table: str, name: str, hook: int, priority: int) -> Request:
    """A filter chain at a hook, which accepts what no rule decides."""
    place = nested(
        _CHAIN_HOOK, attribute(_HOOK_NUMBER, _u32(hook)), attribute(_HOOK_PRIORITY, struct.pack("!i", priority))
    )
    named = text_attribute(_CHAIN_TABLE, table) + text_attribute(_CHAIN_NAME, name)
    return _NEW_CHAIN, CREATE, _GENERAL + named + place + text_attribute(_CHAIN_TYPE, "filter")


def add_rule(table: str, chain: str, *expressions: bytes) -> Request:
    named = text_attribute(_RULE_TABLE, table) + text_attribute(_RULE_CHAIN, chain)
    return _NEW_RULE, CREATE | _APPEND, _GENERAL + named + nested(_RULE_EXPRESSIONS, *expressions)


def match_payload(base: int, offset: int, value: bytes) -> bytes:
    """Goes on only if these bytes stand there."""
    loaded = (
        attribute(1, _REGISTER) + attribute(2, _u32(base)) + attribute(3, _u32(offset)) + attribute(4, _u32(len(value)))
    )
    return _expression("payload", loaded) + _compare(value)


def match_protocol(number: int) -> bytes:
    """Goes on only for this transport protocol."""
    return _expression("meta", attribute(1, _REGISTER) + attribute(2, _u32(_META_L4PROTO))) + _compare(bytes([number]))


def write_payload(base: int, offset: int, value: bytes, *, checksum_offset: int) -> bytes:
    """Puts these bytes there and mends the checksum that stands at `checksum_offset` of the same header."""
    loaded = _expression("immediate", attribute(1, _REGISTER) + nested(2, attribute(_DATA_VALUE, value)))
    written = (
        attribute(2, _u32(base))
        + attribute(3, _u32(offset))
        + attribute(4, _u32(len(value)))
        + attribute(5, _REGISTER)
        + attribute(6, _u32(_CHECKSUM_INTERNET))
        + attribute(7, _u32(checksum_offset))
    )
    return loaded + _expression("payload", written)


def _compare(value: bytes) -> bytes:
    return _expression("cmp", attribute(1, _REGISTER) + attribute(2, _EQUAL) + nested(3, attribute(_DATA_VALUE, value)))


def _expression(name: str, data: bytes) -> bytes:
    return nested(_LIST_ELEMENT, text_attribute(_EXPRESSION_NAME, name), nested(_EXPRESSION_DATA, data))
