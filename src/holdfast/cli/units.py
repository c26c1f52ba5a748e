# SPDX-License-Identifier: Apache-2.0
"""Sizes, times and durations as Docker writes and reads them. Pure: `now` is passed in.

Source: github.com/docker/go-units (HumanSize, RAMInBytes, HumanDuration) and Go's time.ParseDuration, behaviour only.
"""

from __future__ import annotations

from holdfast import errors

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB")
_BINARY = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_NANOS = {"ns": 1, "us": 1000, "µs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def human_size(size_bytes: float, precision: int = 4) -> str:
    """1234567 becomes "1.235MB" (four significant digits, powers of 1000)."""
    unit = 0
    while size_bytes >= 1000 and unit < len(_DECIMAL) - 1:
        size_bytes /= 1000
        unit += 1
    return f"{size_bytes:.{precision}g}{_DECIMAL[unit]}"


def parse_bytes(text: str) -> int:
    """ "512m", "1.5g", "1024", "64KiB" to bytes (powers of 1024); InvalidArgument with Docker's wording."""
    lowered = text.strip().lower()
    digits = lowered.rstrip("bikmgtp ")
    suffix = lowered[len(digits) :].strip().removesuffix("b").removesuffix("i")
    try:
        number = float(digits) if digits.strip("0123456789.") == "" else -1.0
    except ValueError:
        raise errors.InvalidArgument(f"invalid size: '{text}'") from None
    if suffix not in _BINARY or number < 0:
        raise errors.InvalidArgument(f"invalid suffix: '{suffix}'" if number >= 0 else f"invalid size: '{text}'")
    return int(number * _BINARY[suffix])


def parse_duration(text: str) -> int:
    """Go's duration ("1m30s", "500ms", "0") in nanoseconds."""
    rest, total = text.lstrip("+-"), 0
    if rest == "0":
        return 0
    while rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµmsh"))]
        # "1m30s": the unit is the run of letters up to the next digit
        rest = rest[len(unit) :]
        if not digits or digits == "." or unit not in _NANOS:
            raise errors.InvalidArgument(f'time: invalid duration "{text}"')
        total += int(float(digits) * _NANOS[unit])
    if not text:
        raise errors.InvalidArgument('time: invalid duration ""')
    return -total if text.startswith("-") else total


def ago(seconds: float) -> str:
    """ "Less than a second", "5 seconds", "About a minute", "3 hours", "2 weeks", …"""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = whole // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    for limit, divisor, unit in ((48, 1, "hours"), (24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks")):
        if hours < limit:
            return f"{hours // divisor} {unit}"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{hours // 24 // 365} years"


def parse_time(text: str) -> float:
    """An RFC 3339 time as the API prints it ("2026-11-21T01:02:03.123456789Z") in seconds since the epoch."""
    import datetime

    main, _, fraction = text.rstrip("Z").partition(".")
    zone = ""
    for mark in ("+", "-"):
        if mark in fraction:
            fraction, _, offset = fraction.partition(mark)
            zone = mark + offset
    moment = datetime.datetime.fromisoformat(main + (zone or "+00:00"))
    return moment.timestamp() + (float("0." + fraction) if fraction else 0.0)
