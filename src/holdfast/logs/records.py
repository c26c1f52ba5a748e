# SPDX-License-Identifier: Apache-2.0
"""The local driver's format: one record per piece of output, so that thousands of lines cost one header (boot path).

A record is: `\\xffHL1`, payload bytes (u32), attribute bytes (u16), stream (u8), 0, nanoseconds since the epoch (u64);
the attributes as JSON; the payload: whole lines with their newlines, or one partial entry without; at the end the
record's whole length (u32), so that a reader can go backwards. Little-endian. Nothing outside Holdfast reads it; Docker
keeps its own local format private too.
"""

from __future__ import annotations

from struct import Struct

MAGIC = b"\xffHL1"
HEAD = Struct("<4sIHBxQ")
FOOT = Struct("<I")
OVERHEAD = HEAD.size + FOOT.size


def pack(stream: int, payload: bytes, now: int, attributes: bytes) -> bytes:
    """Returns one record."""
    length = OVERHEAD + len(attributes) + len(payload)
    head = HEAD.pack(MAGIC, len(payload), len(attributes), stream, now)
    return b"".join((head, attributes, payload, FOOT.pack(length)))
