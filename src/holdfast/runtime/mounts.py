# SPDX-License-Identifier: Apache-2.0
"""Mount options as data: what a list of words from a spec asks for, and which mounts are refused before anything runs.

Pure: `plan_mount` turns one OCI mount into a `PlannedMount`; `rootfs` applies it in the container's mount namespace.
Source: OCI runtime-spec v1.2 §mounts, mount(8), runc's checkProcMount.
"""

from __future__ import annotations

from holdfast.kernel import mount
from holdfast.runtime.errors import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TypeAlias

    IdMap: TypeAlias = "tuple[tuple[int, int, int], ...]"
    IdMaps: TypeAlias = "tuple[IdMap, IdMap]"

_ATTRIBUTES: dict[str, tuple[bool, int]] = {
    "ro": (True, mount.ATTR_RDONLY),
    "rw": (False, mount.ATTR_RDONLY),
    "nosuid": (True, mount.ATTR_NOSUID),
    "suid": (False, mount.ATTR_NOSUID),
    "nodev": (True, mount.ATTR_NODEV),
    "dev": (False, mount.ATTR_NODEV),
    "noexec": (True, mount.ATTR_NOEXEC),
    "exec": (False, mount.ATTR_NOEXEC),
    "nodiratime": (True, mount.ATTR_NODIRATIME),
    "diratime": (False, mount.ATTR_NODIRATIME),
    "nosymfollow": (True, mount.ATTR_NOSYMFOLLOW),
    "symfollow": (False, mount.ATTR_NOSYMFOLLOW),
    "noatime": (True, mount.ATTR_NOATIME),
    "strictatime": (True, mount.ATTR_STRICTATIME),
    "relatime": (False, mount.ATTR_ATIME),
    "atime": (False, mount.ATTR_NOATIME),
    "norelatime": (True, mount.ATTR_STRICTATIME),
    "nostrictatime": (False, mount.ATTR_ATIME),
}
"""Word to (set it?, attribute); with an `r` in front it is meant for the whole tree."""

_PROPAGATION: dict[str, tuple[int, bool]] = {
    "private": (mount.MS_PRIVATE, False),
    "rprivate": (mount.MS_PRIVATE, True),
    "shared": (mount.MS_SHARED, False),
    "rshared": (mount.MS_SHARED, True),
    "slave": (mount.MS_SLAVE, False),
    "rslave": (mount.MS_SLAVE, True),
    "unbindable": (mount.MS_UNBINDABLE, False),
    "runbindable": (mount.MS_UNBINDABLE, True),
}

_SILENT_WORDS = frozenset(
    ("defaults", "silent", "loud", "iversion", "noiversion", "remount", "tmpcopyup", "copy-symlink", "idmap")
)

_PROC_ALLOWED = frozenset(
    (
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/slabinfo",
        "/proc/net/dev",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/crypto/fips_enabled",
    )
)
"""Files of /proc that LXCFS and checkpoint tools may cover; the rest decides what the kernel believes (CVE-2019-16884)."""


class PlannedMount:
    """One mount with its words understood."""

    __slots__ = (
        "attributes_add",
        "attributes_remove",
        "bind",
        "data",
        "fstype",
        "id_maps",
        "maps_tree",
        "propagation",
        "propagation_recursive",
        "recursive",
        "source",
        "subpath",
        "target",
        "tree_add",
        "tree_remove",
    )

    def __init__(self, fstype: str, source: str, target: str) -> None:
        self.fstype = fstype
        self.source = source
        self.target = target
        self.bind = False
        self.recursive = False
        self.attributes_add = 0
        self.attributes_remove = 0
        self.tree_add = 0
        self.tree_remove = 0
        self.propagation = 0
        self.propagation_recursive = False
        self.data: tuple[str, ...] = ()
        self.subpath = ""
        """What of the source is mounted: a path below it, which others may be changing meanwhile."""
        self.id_maps: IdMaps | None = None
        """Of users and of groups, (first id on disk, first id in the mount, count) each."""
        self.maps_tree = False

    @property
    def is_tmpfs(self) -> bool:
        """Whether it is a fresh tmpfs."""
        return self.fstype == "tmpfs" and not self.bind


def plan_mount(fstype: str, source: str, target: str, options: Iterable[str], bundle: str = "/") -> PlannedMount:
    """Understands one mount. A relative bind source counts from the bundle; an unknown word goes to the file system."""
    planned = PlannedMount(fstype, source, clean(target))
    data: list[str] = []
    for word in options:
        _apply_word(planned, word, data)
    planned.data = tuple(data)
    if fstype in ("bind", "rbind") or planned.bind:
        planned.bind = True
        planned.recursive = planned.recursive or fstype == "rbind"
        if not source.startswith("/"):
            planned.source = f"{bundle.rstrip('/')}/{source}"
        if data and fstype in ("bind", "rbind", "none", ""):
            raise StartError(f'invalid mount option "{data[0]}" for the bind mount of {target}', step="plan")
    _refuse_proc_target(planned)
    return planned


def is_allowed_in_proc(path: str) -> bool:
    """Whether something may be mounted on this file of the container's /proc."""
    return path in _PROC_ALLOWED


def clean(path: str) -> str:
    """The absolute path without `.`, `..` and doubled slashes, by its letters alone."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _apply_word(planned: PlannedMount, word: str, data: list[str]) -> None:
    if word in ("bind", "rbind"):
        planned.bind = True
        planned.recursive = planned.recursive or word == "rbind"
    elif word == "ridmap":
        planned.maps_tree = True
    elif word in _ATTRIBUTES:
        adds, bits = _ATTRIBUTES[word]
        if adds:
            planned.attributes_add |= bits
            planned.attributes_remove &= ~bits
        else:
            planned.attributes_remove |= bits
            planned.attributes_add &= ~bits
    elif word in _PROPAGATION:
        planned.propagation, planned.propagation_recursive = _PROPAGATION[word]
    elif word[:1] == "r" and word[1:] in _ATTRIBUTES:
        adds, bits = _ATTRIBUTES[word[1:]]
        if adds:
            planned.tree_add |= bits
        else:
            planned.tree_remove |= bits
    elif word and word not in _SILENT_WORDS:
        data.append(word)


def _refuse_proc_target(planned: PlannedMount) -> None:
    target = planned.target
    if target.startswith("/proc/") and target not in _PROC_ALLOWED:
        raise StartError(
            f'error mounting "{planned.source}" to rootfs at "{target}": "{target}" cannot be mounted because it is '
            "inside /proc",
            step="plan",
        )
