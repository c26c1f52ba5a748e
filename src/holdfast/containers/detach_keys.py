# SPDX-License-Identifier: Apache-2.0
"""`ctrl-p,ctrl-q` as bytes. Pure; called by the jobs attach and exec. Source: moby/term `ToBytes`."""

from __future__ import annotations

from holdfast.errors import InvalidArgument

DEFAULT = b"\x10\x11"
_SPECIAL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse(text: str) -> bytes:
    """The bytes of a list of keys; the default for an empty text; InvalidArgument for a key that is none."""
    if not text:
        return DEFAULT
    return bytes(_parse_key(key, text) for key in text.split(","))


def _parse_key(key: str, text: str) -> int:
    if len(key) == 1 and key.isascii():
        return ord(key)
    if key == "DEL":
        return 127
    name = key[5:] if key.startswith("ctrl-") else ""
    if len(name) == 1 and "a" <= name <= "z":
        return ord(name) - ord("a") + 1
    if name in _SPECIAL:
        return _SPECIAL[name]
    raise InvalidArgument(f"Invalid detach keys ({text}) provided")
