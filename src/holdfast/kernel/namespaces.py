# SPDX-License-Identifier: Apache-2.0
"""Namespaces: their bits and names, joining, leaving, id maps, host name.

Only the runtime and the shim call it: a process changes itself here. Source: namespaces(7), setns(2), unshare(2),
user_namespaces(7), OCI runtime-spec v1.2 §linux namespaces.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from holdfast.kernel import syscalls

NEWTIME = 0x00000080
FILESYSTEM = 0x00000200
"""CLONE_FS, for `unshare` alone: the calling thread's own working directory, root and umask."""
NEWNS = 0x00020000
NEWCGROUP = 0x02000000
NEWUTS = 0x04000000
NEWIPC = 0x08000000
NEWUSER = 0x10000000
NEWPID = 0x20000000
NEWNET = 0x40000000

FLAGS: dict[str, int] = {
    "user": NEWUSER,
    "mount": NEWNS,
    "pid": NEWPID,
    "network": NEWNET,
    "ipc": NEWIPC,
    "uts": NEWUTS,
    "cgroup": NEWCGROUP,
    "time": NEWTIME,
}
"""By the runtime-spec's names."""

PROC_NAMES: dict[int, str] = {
    NEWUSER: "user",
    NEWNS: "mnt",
    NEWPID: "pid",
    NEWNET: "net",
    NEWIPC: "ipc",
    NEWUTS: "uts",
    NEWCGROUP: "cgroup",
    NEWTIME: "time",
}
"""Below /proc/PID/ns."""


def setns(fd: int, kinds: int) -> None:
    """Joins the namespace that `fd` names, or, for a pidfd, all of that process's namespaces of `kinds` at once."""
    syscalls.call(syscalls.SETNS, fd, kinds)


def unshare(kinds: int) -> None:
    """Moves the caller into new namespaces (its next children, for pid and time)."""
    syscalls.call(syscalls.UNSHARE, kinds)


def open_own(kind: int, *, for_children: bool = False) -> int:
    """A descriptor of the caller's namespace of one kind, to come back to."""
    suffix = "_for_children" if for_children else ""
    return os.open(f"/proc/self/ns/{PROC_NAMES[kind]}{suffix}", os.O_RDONLY | os.O_CLOEXEC)


def write_id_maps(pid: int, uids: Sequence[tuple[int, int, int]], gids: Sequence[tuple[int, int, int]]) -> None:
    """Writes a new user namespace's maps, each (first inside, first outside, count); once, by its maker."""
    for name, entries in (("gid_map", gids), ("uid_map", uids)):
        fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, "".join(f"{inside} {outside} {count}\n" for inside, outside, count in entries).encode())
        finally:
            os.close(fd)


def set_hostname(name: str) -> None:
    """The host name of the caller's UTS namespace."""
    encoded = os.fsencode(name)
    syscalls.call(syscalls.SETHOSTNAME, encoded, len(encoded))


def set_domainname(name: str) -> None:
    """The NIS domain name of the caller's UTS namespace."""
    encoded = os.fsencode(name)
    syscalls.call(syscalls.SETDOMAINNAME, encoded, len(encoded))
