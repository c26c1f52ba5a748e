# SPDX-License-Identifier: Apache-2.0
"""The tables of iptables-legacy: read as the kernel has them, changed through the program that owns them.

They are another set of rules than nftables' (iptables-nft), and a kernel can have both at once. Reading is one system
call and loads nothing: a table that nobody uses stays unused. A change is `iptables-legacy-restore --noflush`, one
transaction under the lock that all such programs share. In the network namespace of the calling thread. Called by
`networks.firewall`. Source: linux/netfilter_ipv4/ip_tables.h, ip6_tables.h, netfilter/x_tables.h; iptables-restore(8).
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import subprocess
from typing import NamedTuple

from holdfast.kernel import syscalls

IPV4, IPV6 = "ip", "ip6"
_NAMES = {IPV4: "/proc/thread-self/net/ip_tables_names", IPV6: "/proc/thread-self/net/ip6_tables_names"}
_PROGRAMS = {IPV4: "iptables-legacy-restore", IPV6: "ip6tables-legacy-restore"}
_LEVELS = {IPV4: (socket.AF_INET, socket.IPPROTO_IP), IPV6: (socket.AF_INET6, socket.IPPROTO_IPV6)}
_GET_INFO, _GET_ENTRIES = 64, 65
_INFO = struct.Struct("=32sI5I5III")
_ENTRIES_HEADER = 40
_HOOKS = {1: "INPUT", 2: "FORWARD", 3: "OUTPUT"}


class _Layout(NamedTuple):
    """Where things stand in an entry: its head (ipt_ip, ip6t_ip6), interfaces, flags, the offsets of target and next."""

    head_bytes: int
    in_interface: int
    out_interface: int
    flags: int
    goto: int
    offsets: int
    entry_bytes: int


_LAYOUTS = {IPV4: _Layout(84, 16, 32, 82, 0x02, 88, 112), IPV6: _Layout(136, 64, 80, 131, 0x04, 140, 168)}
_OFFSETS = struct.Struct("=HH")
_TARGET = struct.Struct("=H29sB")
_ERROR, _NAME_AT = b"ERROR\0", 2
_INTERFACE_BYTES = 16
_MASKS_AFTER = 32
_VERDICTS = {-1: "DROP", -2: "ACCEPT", -5: "RETURN"}
_TRIES = 5
_UNREADABLE = "entries of iptables-legacy that cannot be read"
_SECONDS = 10


class Rule(NamedTuple):
    """`target`: a verdict, an extension's name, a chain. `is_bare`: nothing but the interfaces limits it."""

    target: str
    is_bare: bool
    in_interface: str = ""
    out_interface: str = ""


class Chain(NamedTuple):
    """`policy` is empty for a chain of somebody's own."""

    policy: str
    rules: tuple[Rule, ...]


def is_possible() -> bool:
    """Whether this kernel has such tables at all."""
    return any(os.path.exists(path) for path in _NAMES.values())


def has_table(family: str, table: str = "filter") -> bool:
    """Whether somebody uses it in this namespace."""
    try:
        with open(_NAMES[family]) as names:
            return table in names.read().split()
    except OSError:
        return False


class Table:
    """One table at one moment; chains are read when they are asked for, as there may be many thousand rules."""

    __slots__ = ("_blob", "_chains", "_layout", "_names", "_policies")

    def __init__(
        self, family: str, blob: bytes, starts: tuple[int, ...], ends: tuple[int, ...], *, valid_hooks: int
    ) -> None:
        """`blob` are the kernel's entries; built-in chains begin at `starts` and have their policy at `ends`."""
        self._blob, self._layout = blob, _LAYOUTS[family]
        self._policies = {ends[hook] for hook in _HOOKS if valid_hooks & 1 << hook}
        self._names = {starts[hook]: name for hook, name in _HOOKS.items() if valid_hooks & 1 << hook}
        self._chains: dict[str, list[tuple[int, int]]] = {}
        current: list[tuple[int, int]] = []
        offset = 0
        while offset < len(blob):
            to_target, length = _OFFSETS.unpack_from(blob, offset + self._layout.offsets)
            if not length:
                raise OSError(errno.EBADMSG, _UNREADABLE)
            target, after = offset + to_target, offset + length
            if offset in self._names:
                current = self._chains.setdefault(self._names[offset], [])
            if blob.startswith(_ERROR, target + _NAME_AT):
                self._names[after] = _text(blob[target + _TARGET.size :][:32])
            else:
                current.append((offset, target))
            offset = after

    def __contains__(self, name: str) -> bool:
        return name in self._chains

    def names(self) -> list[str]:
        """Of all chains."""
        return list(self._chains)

    def chain(self, name: str) -> Chain:
        """A chain with its rules; KeyError."""
        entries = self._chains[name]
        rules = tuple(self._rule(*entry) for entry in entries)
        is_built_in = entries[-1][0] in self._policies
        # a chain of somebody's own ends with a RETURN that nobody wrote
        return Chain(rules[-1].target if is_built_in else "", rules[:-1])

    def _rule(self, offset: int, target: int) -> Rule:
        layout, blob = self._layout, self._blob
        name = _text(_TARGET.unpack_from(blob, target)[1])
        if not name:
            (verdict,) = struct.unpack_from("=i", blob, target + _TARGET.size)
            name = self._names.get(verdict, "") if verdict >= 0 else _VERDICTS.get(verdict, "")
        head = bytearray(blob[offset : offset + layout.head_bytes])
        places = (layout.in_interface, layout.out_interface)
        comes, leaves = (_text(bytes(head[at : at + _INTERFACE_BYTES])) for at in places)
        for at in places:
            head[at : at + _INTERFACE_BYTES] = bytes(_INTERFACE_BYTES)
            head[at + _MASKS_AFTER : at + _MASKS_AFTER + _INTERFACE_BYTES] = bytes(_INTERFACE_BYTES)
        head[layout.flags] &= ~layout.goto
        is_bare = not any(head) and set(_matches(blob, offset + layout.entry_bytes, target)) <= {"comment"}
        return Rule(name, is_bare, comes, leaves)


def read(family: str, table: str = "filter") -> Table | None:
    """A table; None when nobody uses it. Raises OSError."""
    if not has_table(family, table):
        return None
    kind, level = _LEVELS[family]
    with socket.socket(kind, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as sock:
        for _ in range(_TRIES):
            info = _INFO.unpack(_ask(sock, level, _GET_INFO, table.encode().ljust(_INFO.size, b"\0")))
            size: int = info[-1]
            request = struct.pack("=32sI", table.encode(), size).ljust(_ENTRIES_HEADER + size, b"\0")
            try:
                found = _ask(sock, level, _GET_ENTRIES, request)
            except OSError as error:
                if error.errno != errno.EAGAIN:  # somebody changed the table in between
                    raise
                continue
            return Table(family, found[_ENTRIES_HEADER:], info[2:7], info[7:12], valid_hooks=info[1])
    raise OSError(errno.EAGAIN, f"the table {table} of iptables-legacy does not come to rest")


def change(family: str, table: str, lines: list[str]) -> None:
    """Appends those lines of iptables-save's language; raises OSError with the program's words, nothing is changed then."""
    text = "\n".join([f"*{table}", *lines, "COMMIT", ""])
    command = [_PROGRAMS[family], "--noflush", "-w", "5"]
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False, timeout=_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise OSError(errno.ETIMEDOUT, f"{command[0]} does not end") from error
    if done.returncode != 0:
        raise OSError(errno.EINVAL, done.stderr.decode(errors="replace").strip() or f"{command[0]} failed")


def _matches(blob: bytes, offset: int, end: int) -> list[str]:
    """The names of a rule's extensions that limit it, between its head and its target."""
    found: list[str] = []
    while offset < end:
        size, name, _revision = _TARGET.unpack_from(blob, offset)
        if not size:
            raise OSError(errno.EBADMSG, _UNREADABLE)
        found.append(_text(name))
        offset += size
    return found


def _ask(sock: socket.socket, level: int, option: int, request: bytes) -> bytes:
    """getsockopt(2) with a question in the buffer, which Python's own cannot ask."""
    buffer = ctypes.create_string_buffer(request, len(request))
    length = ctypes.c_uint32(len(request))
    syscalls.call(syscalls.GETSOCKOPT, sock.fileno(), level, option, ctypes.byref(buffer), ctypes.byref(length))
    return buffer.raw


def _text(packed: bytes) -> str:
    return packed.partition(b"\0")[0].decode(errors="replace")
