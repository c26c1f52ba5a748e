# SPDX-License-Identifier: Apache-2.0
"""Points in time as clients write them: seconds (with a fraction), RFC 3339, or a Go duration before now. Pure.

Called by the routes of logs, events and prune. Source: moby `api/types/time`.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from holdfast.errors import InvalidArgument

_SECONDS = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?", re.ASCII)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse(text: str, now_nanos: int) -> int:
    """Nanoseconds since the epoch; InvalidArgument in Go's words."""
    if (found := _SECONDS.fullmatch(text)) is not None:
        return int(found[1]) * 10**9 + int((found[2] or "0").ljust(9, "0"))
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now_nanos - int(sum(float(number) * _UNITS[unit] for number, unit in parts))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidArgument(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 10**9)
