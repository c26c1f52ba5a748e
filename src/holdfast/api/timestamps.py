# SPDX-License-Identifier: Apache-2.0
"""The points in time that clients send: `1700000000`, `1700000000.123456789`, and RFC 3339.

Pure. Used by the routes with `since` and `until`. Source: moby `api/types/time`.
"""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.errors import InvalidArgument


def parse_nanos(text: str) -> int | None:
    """Nanoseconds since 1970, None for an empty text; InvalidArgument for anything else."""
    if not text:
        return None
    seconds, _, fraction = text.partition(".")
    if seconds.lstrip("-").isdigit() and (fraction.isdigit() or not fraction) and text.isascii():
        return int(seconds) * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text[:64]}"') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000_000 + since.microseconds * 1000
