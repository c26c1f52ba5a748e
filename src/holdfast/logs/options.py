# SPDX-License-Identifier: Apache-2.0
"""Values of log options, read as Go reads them and refused in its words (pure, boot path).

Called by the drivers, in `check` (the daemon, at create) and again where the log is opened (the shim). Sources: Go's
strconv, time and net/url; docker/go-units; texts seen on dockerd 28.5.
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

COMMON = frozenset(("labels", "labels-regex", "env", "env-regex", "tag"))
"""What every driver takes; `logs.description` turns them into attributes and a tag."""

_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_UNITS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def refuse_unknown(options: Mapping[str, str], known: Collection[str], driver: str) -> None:
    """Raises InvalidArgument for the first option that the driver does not have."""
    for name in options:
        if name not in known and name not in COMMON:
            raise errors.InvalidArgument(f"unknown log opt '{name}' for {driver}")


def size(text: str, *, base: int = 1000) -> int:
    """`10m` in bytes; files are counted in thousands, memory in 1024s, as Docker does."""
    number = text.strip().lower().removesuffix("b")
    if base == 1024 or number.endswith("i"):
        number = number.removesuffix("i")
    unit = number[-1:] if number[-1:].isalpha() else ""
    try:
        value = int(float(number.removesuffix(unit)) * base ** _UNITS[unit])
    except (ValueError, KeyError, OverflowError):
        value = -1
    if value < 0:
        raise errors.InvalidArgument(f"invalid size: '{text}'")
    return value


def boolean(text: str) -> bool:
    """Go's words for true and false."""
    if text not in _TRUE and text not in _FALSE:
        raise errors.InvalidArgument(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def integer(text: str, function: str = "Atoi") -> int:
    """A decimal number; `function` is the Go one that would have read it, ParseUint takes no sign."""
    digits = text[1:] if function == "Atoi" and text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        raise errors.InvalidArgument(f'strconv.{function}: parsing "{text}": invalid syntax')
    return int(text)


def duration(text: str) -> float:
    """`1m30s` in seconds."""
    sign = -1.0 if text.startswith("-") else 1.0
    rest = text.lstrip("+-") if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    total, complaint = 0.0, errors.InvalidArgument(f'time: invalid duration "{text}"')
    if not rest:
        raise complaint
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyzµ"))]
        rest = rest[len(unit) :]
        if not number.strip(".") or number.count(".") > 1:
            raise complaint
        if not unit:
            raise errors.InvalidArgument(f'time: missing unit in duration "{text}"')
        if unit not in _SECONDS:
            raise errors.InvalidArgument(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _SECONDS[unit]
    return sign * total


def url(text: str) -> tuple[str, str, str]:
    """Scheme, what stands between `//` and the next slash, and the path."""
    scheme, separator, rest = text.partition("://")
    if not separator:
        scheme, separator, rest = text.partition(":")
        if not separator or not scheme.isalpha():
            return "", "", text
        return scheme.lower(), "", rest
    host, slash, path = rest.partition("/")
    return scheme.lower(), host, slash + path


def host_port(text: str) -> tuple[str, str] | None:
    """Host and port of `host:port` or `[v6]:port`; None without a port."""
    host, separator, number = text.rpartition(":")
    if not separator or "]" in number:
        return None
    return host.removeprefix("[").removesuffix("]"), number
