# SPDX-License-Identifier: Apache-2.0
"""Where a broken JSON document stops being JSON, in the words of Go's decoder, which clients show.

Slow and careful, because it only reads what a fast decoder has refused; depth is limited by the caller.
Called by `api.decode`. Source: RFC 8259; the answers of dockerd 28.5.
"""

from __future__ import annotations

import json
import re

_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_BEGUN_NUMBER = re.compile(r"-?(?:(?:0|[1-9][0-9]*)(?:(?:\.[0-9]+)?[eE][+-]?|\.)?)?")
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_VALUE, _KEY = "looking for beginning of value", "looking for beginning of object key string"
_END = "unexpected EOF"


class _Mistake(Exception):
    """What is wrong, in words."""


def describe(data: bytes) -> str:
    """The first mistake; for a document without one, what a decoder says of more behind it."""
    text = data.decode("utf-8", "replace")
    try:
        place = _skip(text, _value(text, _skip(text, 0)))
    except _Mistake as mistake:
        return str(mistake)
    return _END if place == len(text) else _unexpected(text, place, "after top-level value")


def _skip(text: str, place: int) -> int:
    found = _SPACE.match(text, place)
    return found.end() if found else place


def _unexpected(text: str, place: int, where: str) -> str:
    if place >= len(text):
        return _END
    shown = text[place].replace("'", "\\'") if text[place] in ('"', "'") else json.dumps(text[place])[1:-1]
    return f"invalid character '{shown}' {where}"


def _value(text: str, place: int) -> int:
    """The end of the value that begins here."""
    first = text[place : place + 1]
    if first == "{":
        return _members(text, place + 1)
    if first == "[":
        return _elements(text, place + 1)
    if first == '"':
        return _string(text, place + 1)
    if first in _LITERALS:
        return _literal(text, place, _LITERALS[first])
    if first and first in "-0123456789":
        return _number(text, place)
    raise _Mistake(_unexpected(text, place, _VALUE))


def _members(text: str, place: int) -> int:
    place = _skip(text, place)
    if text.startswith("}", place):
        return place + 1
    while True:
        if not text.startswith('"', place):
            raise _Mistake(_unexpected(text, place, _KEY))
        place = _skip(text, _string(text, place + 1))
        if not text.startswith(":", place):
            raise _Mistake(_unexpected(text, place, "after object key"))
        place = _skip(text, _value(text, _skip(text, place + 1)))
        if text.startswith("}", place):
            return place + 1
        if not text.startswith(",", place):
            raise _Mistake(_unexpected(text, place, "after object key:value pair"))
        place = _skip(text, place + 1)


def _elements(text: str, place: int) -> int:
    place = _skip(text, place)
    if text.startswith("]", place):
        return place + 1
    while True:
        place = _skip(text, _value(text, place))
        if text.startswith("]", place):
            return place + 1
        if not text.startswith(",", place):
            raise _Mistake(_unexpected(text, place, "after array element"))
        place = _skip(text, place + 1)


def _string(text: str, place: int) -> int:
    found = _STRING.match(text, place)
    end = found.end() if found else place
    if text.startswith('"', end):
        return end + 1
    if not text.startswith("\\", end):
        raise _Mistake(_unexpected(text, end, "in string"))
    escape = text[end : end + (6 if text.startswith("\\u", end) else 2)]
    is_cut = len(escape) < 2 or (len(escape) < 6 and re.fullmatch(r"\\u[0-9a-fA-F]*", escape) is not None)
    raise _Mistake(_END if is_cut else f"invalid escape sequence `{escape}` in string")


def _literal(text: str, place: int, word: str) -> int:
    for offset, letter in enumerate(word):
        if not text.startswith(letter, place + offset):
            raise _Mistake(_unexpected(text, place + offset, f"in literal {word} (expecting '{letter}')"))
    return place + len(word)


def _number(text: str, place: int) -> int:
    begun = _BEGUN_NUMBER.match(text, place)
    found = _NUMBER.match(text, place)
    end = max(each.end() if each else place for each in (begun, found))
    if found and found.end() == end:
        return end
    raise _Mistake(_unexpected(text, end, "in numeric literal"))
