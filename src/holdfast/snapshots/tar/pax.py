# SPDX-License-Identifier: Apache-2.0
"""Pax records: `LENGTH KEY=VALUE\\n`, read strictly and written shortest.

Source: POSIX pax "pax Extended Header". Keys that we do not know are kept: the reader picks what it understands.
"""

from __future__ import annotations

from holdfast.errors import InvalidArgument

XATTR_PREFIX = b"SCHILY.xattr."
SPARSE_PREFIX = b"GNU.sparse."


def parse(data: bytes) -> dict[bytes, bytes]:
    """All records of one extended header, the last of equal keys wins; InvalidArgument when it is not well formed."""
    records: dict[bytes, bytes] = {}
    position = 0
    end = len(data)
    while position < end:
        space = data.find(b" ", position, position + 21)
        digits = data[position:space] if space > 0 else b""
        if not digits.isdigit():
            if not data[position:].strip(b"\0"):
                break
            raise InvalidArgument("damaged pax header: a record has no length")
        length = int(digits)
        stop = position + length
        if stop > end or stop <= space + 1 or data[stop - 1] != 0x0A:
            raise InvalidArgument("damaged pax header: a record's length is wrong")
        key, equals, value = data[space + 1 : stop - 1].partition(b"=")
        if not equals or not key:
            raise InvalidArgument("damaged pax header: a record has no key")
        records[key] = value
        position = stop
    return records


def format_records(records: dict[bytes, bytes]) -> bytes:
    """The extended header's content, in the order given."""
    lines: list[bytes] = []
    for key, value in records.items():
        body = b" %s=%s\n" % (key, value)
        length = len(body) + len(str(len(body)))
        length = len(body) + len(str(length))
        lines.append(b"%d%s" % (length, body))
    return b"".join(lines)
