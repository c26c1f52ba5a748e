# SPDX-License-Identifier: Apache-2.0
"""The functions that a `--format` template can call: Go's own and the ones Docker adds. Pure.

Source: pkg.go.dev/text/template §Functions; docs.docker.com "Format command and log output".
"""

from __future__ import annotations

import json
import operator
import re

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeGuard

_VERB = re.compile(r"%([-+ 0]*\d*(?:\.\d+)?)([a-zA-Z%])")


def is_map(value: Any) -> TypeGuard[dict[str, Any]]:
    """A JSON object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """A JSON array."""
    return isinstance(value, list)


def text_of(value: Any) -> str:
    """Go's %v for the values that JSON has."""
    if value is None:
        return "<no value>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_map(value):
        return "map[" + " ".join(f"{k}:{text_of(v)}" for k, v in sorted(value.items())) + "]"
    if is_list(value):
        return "[" + " ".join(text_of(item) for item in value) + "]"
    return str(value)


def fail(message: str) -> errors.InvalidArgument:
    """The error of a template that cannot be parsed or filled in."""
    return errors.InvalidArgument(f"template parsing error: {message}")


def _index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if is_list(value):
            if not 0 <= int(key) < len(value):
                raise fail(f"error calling index: index out of range: {key}")
            value = value[int(key)]
        else:
            value = value.get(key) if is_map(value) else None
    return value


def _slice(value: Any, start: int = 0, end: int | None = None) -> Any:
    return value[start:end]


def _truncate(text: str, limit: int) -> str:
    return text[:limit]


def _pad(text: str, before: int, after: int) -> str:
    return " " * before + text + " " * after


def _join(items: list[str] | None, mark: str) -> str:
    return mark.join(items or ())


def _length(value: Any) -> int:
    return len(value or ())


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _print(*values: Any) -> str:
    return "".join(text_of(value) for value in values)


def _println(*values: Any) -> str:
    return " ".join(text_of(value) for value in values) + "\n"


def _and(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


def _equal(first: Any, *others: Any) -> bool:
    return any(first == other for other in others)


def _printf(form: str, *values: Any) -> str:
    rest = list(values)

    def one(match: re.Match[str]) -> str:
        width, verb = match.groups()
        if verb == "%":
            return "%"
        value = rest.pop(0) if rest else None
        if verb == "q":
            return _json(text_of(value))
        if verb in "dxXof":
            return ("%" + width + verb) % value
        return ("%" + width + "s") % text_of(value)

    return _VERB.sub(one, form)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": _json,
    "join": _join,
    "split": str.split,
    "title": str.title,
    "lower": str.lower,
    "upper": str.upper,
    "pad": _pad,
    "truncate": _truncate,
    "print": _print,
    "println": _println,
    "printf": _printf,
    "len": _length,
    "index": _index,
    "slice": _slice,
    "not": operator.not_,
    "and": _and,
    "or": _or,
    "eq": _equal,
    "ne": operator.ne,
    "lt": operator.lt,
    "le": operator.le,
    "gt": operator.gt,
    "ge": operator.ge,
}
