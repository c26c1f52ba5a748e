# SPDX-License-Identifier: Apache-2.0
"""Points in time as clients write them: seconds (with a fraction), RFC 3339, or a Go duration before now. Pure.

Called by the routes of logs, events and prune, and where images are listed. Source: moby `api/types/time`.
"""

from __future__ import annotations

import re

from holdfast.errors import InvalidArgument
from holdfast.images.image import nanos_of

_SECONDS = re.compile(r"(-?[0-9]{1,12})(?:\.([0-9]{1,9}))?", re.ASCII)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse(text: str, now_nanos: int) -> int:
    """Nanoseconds since the epoch; InvalidArgument in Docker's words."""
    if (found := _SECONDS.fullmatch(text)) is not None:
        return int(found[1]) * 10**9 + int((found[2] or "0").ljust(9, "0"))
    parts = _DURATION.findall(text)
    if parts and "".join(number + unit for number, unit in parts) == text:
        return now_nanos - int(sum(float(number) * _UNITS[unit] for number, unit in parts))
    found_nanos = nanos_of(text)
    if found_nanos is None:
        raise InvalidArgument(f'failed to parse value as time or duration: "{text[:64]}"')
    return found_nanos


def parse_parameter(text: str, now_nanos: int) -> int:
    """The same for the parameters of logs and events, where Docker refuses in other words."""
    try:
        return parse(text, now_nanos)
    except InvalidArgument:
        raise InvalidArgument(f'strconv.ParseInt: parsing "{text[:64]}": invalid syntax') from None
