# SPDX-License-Identifier: Apache-2.0
"""A length of time as Go prints it (`200ms`, `1m30s`), for texts that clients see. Pure; called by health checks."""

from __future__ import annotations

_UNITS = ((1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs"), (1, "ns"))


def text(nanos: int) -> str:
    """Go's `Duration.String`, for a length that is not negative."""
    if nanos == 0:
        return "0s"
    unit, name = next((unit, name) for unit, name in _UNITS if nanos >= unit)
    minutes = nanos // 60_000_000_000
    if not minutes:
        return _number(nanos, unit) + name
    rest = _number(nanos % 60_000_000_000, unit) + "s"
    return f"{minutes}m{rest}" if minutes < 60 else f"{minutes // 60}h{minutes % 60}m{rest}"


def _number(nanos: int, unit: int) -> str:
    whole, part = divmod(nanos, unit)
    digits = f"{part:0{len(str(unit)) - 1}}".rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
