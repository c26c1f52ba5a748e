# SPDX-License-Identifier: Apache-2.0
"""Judges single driver options (`docker network create -o KEY=VALUE`) in Docker's words. Pure; called by the drivers."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from holdfast import errors
from holdfast.networks import ipam

_BOOLEANS = frozenset(("1", "t", "T", "TRUE", "true", "True", "0", "f", "F", "FALSE", "false", "False"))
_LARGEST_MTU = 65535
_LONGEST_NAME = 15
_INTERFACE_NAME = re.compile(r"[^\s/:%\"\\*\x00-\x1f\x7f]+")

Options = Mapping[str, str]


def check_flag(options: Options, label: str) -> None:
    """True or false, as Go reads them."""
    value = options.get(label)
    if value is not None and value not in _BOOLEANS:
        raise _refusal(label, value, f'strconv.ParseBool: parsing "{value}": invalid syntax')


def check_mtu(options: Options, label: str, *, minimum: int) -> None:
    """A number that the kernel takes, or 0 for its own choice."""
    value = options.get(label)
    if value is None:
        return
    if not (value.isascii() and value.lstrip("+-").isdigit() and len(value) < 10):
        raise _refusal(label, value, f'strconv.Atoi: parsing "{value}": invalid syntax')
    if int(value) and not minimum <= int(value) <= _LARGEST_MTU:
        raise _refusal(label, value, f"it must be between {minimum} and {_LARGEST_MTU}")


def check_address(options: Options, label: str, *, version: int = 0) -> None:
    """An IP address, of one protocol if `version` names it."""
    value = options.get(label)
    if value is None:
        return
    try:
        found = ipam.read_address(value)
    except ValueError:
        raise _refusal(label, value, "nil ip") from None
    if version not in (0, found.version):
        raise _refusal(label, value, f"it is no IPv{version} address")


def is_interface_name(name: str) -> bool:
    """What the kernel takes as a name, without what it (`%d`) or packet rules (quotes, `*`) would read as more."""
    if name in (".", "..", "all", "default") or len(name.encode()) > _LONGEST_NAME:
        return False
    return _INTERFACE_NAME.fullmatch(name) is not None


def check_interface_name(label: str, name: str, *, more: str = "") -> None:
    """A name, or the beginning of one that goes on with `more`."""
    if not is_interface_name(name + more):
        raise _refusal(label, name, "invalid interface name")


def check_word(options: Options, label: str, words: Collection[str], otherwise: str) -> None:
    """One of some words."""
    value = options.get(label)
    if value is not None and value not in words:
        raise _refusal(label, value, f"{otherwise} {value}")


def _refusal(label: str, value: str, reason: str) -> errors.InvalidArgument:
    return errors.InvalidArgument(f"failed to parse {label} value: {value} ({reason})")
