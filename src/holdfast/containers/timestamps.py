# SPDX-License-Identifier: Apache-2.0
"""Times as Go writes them: RFC 3339 in UTC with up to nine digits. Pure; used for records that clients see."""

from __future__ import annotations

import time

NEVER = "0001-01-01T00:00:00Z"


def rfc3339(nanos: int) -> str:
    """`2026-11-21T02:13:49.24169Z`; 0 is Go's zero time."""
    if not nanos:
        return NEVER
    seconds, rest = divmod(nanos, 1_000_000_000)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + fraction + "Z"
