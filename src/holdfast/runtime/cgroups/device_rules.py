# SPDX-License-Identifier: Apache-2.0
"""OCI device rules folded into what the kernel keeps: a default and its exceptions.

Pure; `v1.devices` turns the result into lines, `v2.devices` into a BPF program. The folding is the v1 controller's own:
rules apply in order, a rule for all devices (`a`) starts afresh, and a rule against the default adds to the exception
with the same type and numbers, one with the default takes from it. A deny therefore makes no hole in a wildcard.
Source: OCI runtime-spec v1.2 §config-linux allowed device list, Documentation/admin-guide/cgroup-v1/devices.rst.
"""

from __future__ import annotations

import itertools

from holdfast.errors import InvalidArgument

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

WILDCARD = -1
_ACCESS = "rwm"
# every spelling of a set of letters -> its order in the kernel's files
_SPELLINGS = {
    "".join(letters): "".join(letter for letter in _ACCESS if letter in letters)
    for count in (1, 2, 3)
    for letters in itertools.permutations(_ACCESS, count)
}
_TYPES = {"a": "a", "b": "b", "c": "c", "u": "c", "p": "p", "": "a", None: "a"}


class Decision:
    """What the rules come to: `default_allow`, and exceptions {(type, major, minor): access} against it."""

    __slots__ = ("default_allow", "exceptions")

    def __init__(self, default_allow: bool, exceptions: dict[tuple[str, int, int], str]) -> None:
        self.default_allow = default_allow
        self.exceptions = exceptions


def fold(rules: Iterable[Mapping[str, Any]]) -> Decision:
    """Folds OCI `linux.resources.devices`; the start is the kernel's: a fresh root cgroup allows everything."""
    decision = Decision(True, {})
    for rule in rules:
        allow = bool(rule.get("allow", False))
        kind = _kind(rule)
        access = _access(rule)
        major, minor = _number(rule, "major"), _number(rule, "minor")
        if kind == "a" and major == WILDCARD and minor == WILDCARD and access == _ACCESS:
            decision = Decision(allow, {})
            continue
        for each in ("b", "c") if kind == "a" else (kind,):
            _take(decision, allow, (each, major, minor), access)
    return decision


def _take(decision: Decision, allow: bool, key: tuple[str, int, int], access: str) -> None:
    held = decision.exceptions.get(key)
    if allow != decision.default_allow:
        decision.exceptions[key] = access if held is None else _SPELLINGS["".join({*held, *access})]
    elif held is not None:
        left = "".join(letter for letter in held if letter not in access)
        if left:
            decision.exceptions[key] = left
        else:
            del decision.exceptions[key]


def _kind(rule: Mapping[str, Any]) -> str:
    kind = rule.get("type")
    if kind not in _TYPES or kind == "p":
        raise InvalidArgument(f"invalid device rule type {kind!r}: one of a, b, c is needed")
    return _TYPES[kind]


def _access(rule: Mapping[str, Any]) -> str:
    access = rule.get("access") or _ACCESS
    known = _SPELLINGS.get(access) if isinstance(access, str) else None
    if known is None:
        raise InvalidArgument(f"invalid device rule access {access!r}: letters of rwm are needed")
    return known


def _number(rule: Mapping[str, Any], which: str) -> int:
    number = rule.get(which)
    if number is None:
        return WILDCARD
    if not isinstance(number, int) or not -1 <= number < 2**32:
        raise InvalidArgument(f"invalid device rule {which} {number!r}")
    return number
