# SPDX-License-Identifier: Apache-2.0
"""As much MessagePack as the forward protocol needs: packs arrays, maps, texts, numbers and times; reads a receipt.

Called by the fluentd driver, in the courier. Source: the MessagePack specification; Fluentd's forward protocol v1.
"""

from __future__ import annotations

from struct import pack, unpack_from

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_NANOS = 1_000_000_000


def array_head(count: int) -> bytes:
    """Begins an array of up to 15 elements."""
    return bytes([0x90 | count])


def text(value: bytes) -> bytes:
    """A string; what is not UTF-8 is passed on as it is."""
    size = len(value)
    if size < 32:
        return bytes([0xA0 | size]) + value
    if size < 0x100:
        return b"\xd9" + bytes([size]) + value
    return pack(">BH", 0xDA, size) + value if size < 0x10000 else pack(">BI", 0xDB, size) + value


def mapping(values: Mapping[bytes, bytes]) -> bytes:
    """A map of strings."""
    count = len(values)
    head = bytes([0x80 | count]) if count < 16 else pack(">BH", 0xDE, count)
    return head + b"".join([text(key) + text(value) for key, value in values.items()])


def seconds(nanos: int) -> bytes:
    """A moment as a whole number of seconds."""
    return pack(">Bq", 0xD3, nanos // _NANOS)


def event_time(nanos: int) -> bytes:
    """A moment with its nanoseconds: Fluentd's extension type 0."""
    return pack(">BBII", 0xD7, 0, *divmod(nanos, _NANOS))


def read_receipt(data: bytes) -> bytes | None:
    """The value of a map of one string: `{"ack": value}`; None when more of it is to come. ValueError otherwise."""
    if not data:
        return None
    if data[0] != 0x81:
        raise ValueError("not a map of one")
    position, found = 1, b""
    for _ in range(2):
        kind = data[position : position + 1]
        if not kind:
            return None
        if 0xA0 <= kind[0] <= 0xBF:
            size, position = kind[0] & 0x1F, position + 1
        elif kind in (b"\xd9", b"\xda"):
            wide = 1 if kind == b"\xd9" else 2
            if len(data) < position + 1 + wide:
                return None
            size = unpack_from(">B" if wide == 1 else ">H", data, position + 1)[0]
            position += 1 + wide
        else:
            raise ValueError("not a string")
        if len(data) < position + size:
            return None
        found = data[position : position + size]
        position += size
    return found
