# SPDX-License-Identifier: Apache-2.0
"""The query string as Docker reads it: lenient booleans, filters in two forms.

Built once per request by `api.server`, read by the routes. Source: Engine API v1.51, moby's `httputils` and `filters`.
"""

from __future__ import annotations

import re
from typing import cast
from urllib.parse import unquote

import msgspec

from holdfast.errors import InvalidArgument

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_FALSE = frozenset(("", "0", "no", "false", "none"))


class Query:
    """The decoded parameters of one request; a name may occur many times and the first one counts."""

    __slots__ = ("_values",)

    def __init__(self, raw: str = "") -> None:
        if ";" in raw:
            raise InvalidArgument("invalid semicolon separator in query")
        if "%" in raw and (found := _BROKEN_ESCAPE.search(raw)):
            raise InvalidArgument(f'invalid URL escape "{raw[found.start() :][:3]}"')
        self._values: dict[str, list[str]] = parse(raw) if raw else {}

    def has(self, name: str) -> bool:
        """True when the name occurs at all, even without a value."""
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """The first value, or the default when the name does not occur."""
        values = self._values.get(name)
        return values[0] if values else default

    def many(self, name: str) -> list[str]:
        """Every value given under the name, in order."""
        return list(self._values.get(name, ()))

    def boolean(self, name: str, default: bool = False) -> bool:
        """Docker's reading: everything is true except nothing, `0`, `no`, `false` and `none`."""
        values = self._values.get(name)
        return values[0].strip().lower() not in _FALSE if values else default

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A decimal number; the default when absent or empty; InvalidArgument (Go's words) for anything else."""
        value = self.text(name)
        if not value:
            return default
        digits = value[1:] if value[0] in "+-" else value
        if not (digits.isascii() and digits.isdigit()):
            raise InvalidArgument(f'strconv.ParseInt: parsing "{value}": invalid syntax')
        if len(digits) > 19 or not -(1 << 63) <= int(value) < 1 << 63:
            raise InvalidArgument(f'strconv.ParseInt: parsing "{value}": value out of range')
        return int(value)

    def filters(self, name: str = "filters") -> dict[str, list[str]]:
        """`{"label": ["a=b"]}` or `{"label": {"a=b": true}}`, both as lists; InvalidArgument for other shapes."""
        raw = self.text(name)
        if not raw:
            return {}
        try:
            decoded: object = msgspec.json.decode(raw)
        except (msgspec.DecodeError, RecursionError):
            raise InvalidArgument("invalid filter") from None
        if decoded is None:
            return {}
        if not isinstance(decoded, dict):
            raise InvalidArgument("invalid filter")
        return {key: _filter_values(value) for key, value in cast("dict[str, object]", decoded).items()}


def _filter_values(value: object) -> list[str]:
    if value is None:
        return []
    if isinstance(value, dict):
        flags = cast("dict[str, object]", value)
        if all(isinstance(flag, bool) for flag in flags.values()):
            return list(flags)
    elif isinstance(value, list):
        items = cast("list[object]", value)
        texts = [item for item in items if isinstance(item, str)]
        if len(texts) == len(items):
            return texts
    raise InvalidArgument("invalid filter")


def parse(raw: str) -> dict[str, list[str]]:
    """`a=1&b=2&a=3` as lists by name; a pair with `;` is dropped, as Go's parser does."""
    values: dict[str, list[str]] = {}
    for pair in raw.split("&"):
        if not pair or ";" in pair:
            continue
        name, _, value = pair.partition("=")
        values.setdefault(_decode(name), []).append(_decode(value))
    return values


def _decode(text: str) -> str:
    if "+" in text:
        text = text.replace("+", " ")
    return unquote(text, errors="surrogateescape") if "%" in text else text
