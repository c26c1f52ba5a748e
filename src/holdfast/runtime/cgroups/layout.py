# SPDX-License-Identifier: Apache-2.0
"""Where the cgroup file systems of this machine are: version 1, version 2, or both (hybrid).

Pure: it reads the text of /proc/self/mountinfo, `hierarchy.detect` fetches it. A controller mounted in several places
is taken from the place that comes first below /sys/fs/cgroup. Source: proc(5) mountinfo, cgroups(7).
"""

from __future__ import annotations

V1 = "v1"
V2 = "v2"
HYBRID = "hybrid"

# mount options of a v1 hierarchy that name no controller
_NOT_CONTROLLERS = frozenset(
    {
        "rw",
        "ro",
        "xattr",
        "noprefix",
        "clone_children",
        "cpuset_v2_mode",
        "favordynmods",
        "none",
        "relatime",
        "seclabel",
    }
)


class Mount:
    """One mounted v1 hierarchy: its directory and what it controls (`("cpu", "cpuacct")`, `("name=systemd",)`)."""

    __slots__ = ("controllers", "directory")

    def __init__(self, directory: str, controllers: tuple[str, ...]) -> None:
        self.directory = directory
        self.controllers = controllers


class Layout:
    """What is mounted: the v1 hierarchies in mount order, and the v2 tree's directory or None."""

    __slots__ = ("unified", "v1")

    def __init__(self, v1: tuple[Mount, ...], unified: str | None) -> None:
        self.v1 = v1
        self.unified = unified

    @property
    def mode(self) -> str:
        """`v1`, `v2` or `hybrid`; `hybrid` is v1 for every controller with a v2 tree beside it."""
        if not self.v1:
            return V2
        return HYBRID if self.unified is not None else V1


def parse_mountinfo(text: str) -> Layout:
    """The layout that a mountinfo describes; an empty one (mode v2, `unified` None) when there is none."""
    v1: dict[tuple[str, ...], Mount] = {}
    unified: str | None = None
    for line in text.splitlines():
        before, dash, after = line.partition(" - ")
        if not dash:
            continue
        kind, _, rest = after.partition(" ")
        if kind not in ("cgroup", "cgroup2"):
            continue
        directory = unescape(before.split(" ")[4])
        if kind == "cgroup2":
            unified = _preferred(unified, directory)
            continue
        controllers = tuple(word for word in rest.rpartition(" ")[2].split(",") if _is_controller(word))
        known = v1.get(controllers)
        if known is None or _preferred(known.directory, directory) != known.directory:
            v1[controllers] = Mount(directory, controllers)
    return Layout(tuple(v1.values()), unified)


def _is_controller(word: str) -> bool:
    return word not in _NOT_CONTROLLERS and ("=" not in word or word.startswith("name="))


def _preferred(known: str | None, found: str) -> str:
    if known is None:
        return found
    is_better = found.startswith("/sys/fs/cgroup") and not known.startswith("/sys/fs/cgroup")
    return found if is_better else known


def unescape(word: str) -> str:
    """A path as /proc/PID/mountinfo has it, read."""
    if "\\" not in word:
        return word
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        word = word.replace(code, character)
    return word
