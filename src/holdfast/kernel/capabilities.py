# SPDX-License-Identifier: Apache-2.0
"""Capabilities as 64-bit masks: names, the bounding set, the three process sets, ambient ones.

A process changes only itself. Which sets a container gets is decided in `runtime`. Source: capabilities(7), capget(2).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from holdfast.kernel import syscalls

NAMES: tuple[str, ...] = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""A capability's number is its place."""

BITS: dict[str, int] = {name: 1 << number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4


def mask(names: Iterable[str]) -> int:
    """The set as bits; names that no kernel of ours knows raise KeyError."""
    bits = 0
    for name in names:
        bits |= BITS[name]
    return bits


def names_of(bits: int) -> tuple[str, ...]:
    """The set as names, in the kernel's order."""
    return tuple(name for number, name in enumerate(NAMES) if bits >> number & 1)


def drop_bounding(bits: int) -> None:
    """Removes these capabilities from the bounding set, one call each; needs CAP_SETPCAP."""
    number = 0
    while bits:
        if bits & 1:
            syscalls.call(syscalls.PRCTL, _PR_CAPBSET_DROP, number)
        bits >>= 1
        number += 1


def set_process(*, effective: int, permitted: int, inheritable: int) -> None:
    """Sets the three sets of this process (capset)."""
    low = 0xFFFFFFFF
    header = struct.pack("Ii", _VERSION_3, 0)
    data = struct.pack(
        "6I",
        effective & low,
        permitted & low,
        inheritable & low,
        effective >> 32,
        permitted >> 32,
        inheritable >> 32,
    )
    syscalls.call(syscalls.CAPSET, header, data)


def set_ambient(bits: int) -> None:
    """Replaces the ambient set; each must be permitted and inheritable."""
    syscalls.call(syscalls.PRCTL, _PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    for number in range(len(NAMES)):
        if bits >> number & 1:
            syscalls.call(syscalls.PRCTL, _PR_CAP_AMBIENT, _AMBIENT_RAISE, number)
