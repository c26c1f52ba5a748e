# SPDX-License-Identifier: Apache-2.0
"""Numbers in tar headers: octal text, base-256 for what does not fit, decimal seconds in pax records.

Source: GNU tar manual "Extensions" (base-256), POSIX pax "pax Extended Header Keyword Values" (mtime).
"""

from __future__ import annotations

import functools

from holdfast.errors import InvalidArgument

NANOS = 1_000_000_000
_FRACTION_DIGITS = 9


def parse_field(field: bytes) -> int:
    """The value of a numeric header field; may be negative in base-256. InvalidArgument for anything else."""
    plain = field.strip(b" \0")
    if plain.isdigit() and b"8" not in plain and b"9" not in plain:
        return int(plain, 8)
    if field and field[0] & 0x80:
        value = int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value
    text = field.partition(b"\0")[0].strip(b" ")
    if not text:
        return 0
    if not text.isdigit() or b"8" in text or b"9" in text:
        raise InvalidArgument(f"archive/tar: invalid tar header: {field.decode('latin-1')!r} is not an octal number")
    return int(text, 8)


@functools.lru_cache(1024)
def parse_repeated(field: bytes) -> int:
    """`parse_field` for fields that say the same in most members: modes, owners, times."""
    return parse_field(field)


def format_field(value: int, width: int) -> bytes:
    """Octal with a closing NUL where it fits, base-256 where not."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    limit = 1 << (8 * width - 2)
    if not -limit <= value < limit:
        raise InvalidArgument(f"{value} does not fit into a tar header")
    if value >= 0:
        return (value | 0x80 << 8 * (width - 1)).to_bytes(width, "big")
    return (value + (1 << 8 * width)).to_bytes(width, "big")


def parse_decimal(text: bytes, key: bytes) -> int:
    """A whole number of a pax record (size, uid, gid)."""
    if not text.isdigit() or len(text) > 20:
        raise InvalidArgument(f"damaged pax record: {key!r} is {text[:40]!r}")
    return int(text)


def parse_seconds(text: bytes) -> int:
    """Decimal seconds, perhaps negative, perhaps with a fraction, as nanoseconds; finer digits are cut off."""
    negative = text.startswith(b"-")
    whole, dot, fraction = text.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 20 or (dot and fraction and not fraction.isdigit()):
        raise InvalidArgument(f"damaged pax record: time {text[:40]!r}")
    nanos = int(whole) * NANOS + int(fraction[:_FRACTION_DIGITS].ljust(_FRACTION_DIGITS, b"0") or b"0")
    return -nanos if negative else nanos


def format_seconds(nanos: int) -> bytes:
    """The pax text of a time."""
    whole, rest = divmod(abs(nanos), NANOS)
    text = b"%d.%09d" % (whole, rest) if rest else b"%d" % whole
    return (
        (b"-" + text).rstrip(b"0")
        if nanos < 0 and rest
        else (b"-" if nanos < 0 else b"") + (text.rstrip(b"0") if rest else text)
    )
