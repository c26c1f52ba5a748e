# SPDX-License-Identifier: Apache-2.0
"""What a container changed, as `docker diff` lists it: added, changed, deleted paths against the layers below.

Walks the upper directory only (a whole tree for drivers that copy), so it costs what the container wrote, not what the
image holds. A directory counts as changed when its mode or owner is another, or something in it has changed; its times
do not count (moby issue 9874). Files that are there only to be mounted over are no changes. Called by the jobs changes
and commit. Source: Engine API v1.51 ContainerChanges; behaviour of dockerd 28.5.
"""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from holdfast.snapshots import walking, whiteouts
from holdfast.snapshots.diff import Found, is_opaque, listing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.snapshots.driver import Driver
    from holdfast.snapshots.walking import Walk

MODIFIED, ADDED, DELETED = 0, 1, 2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CAPABILITY = "security.capability"
_PLACEHOLDERS = (
    b"etc/hostname",
    b"etc/hosts",
    b"etc/resolv.conf",
    b"etc/mtab",
    b"dev/console",
    b"dev/mqueue",
    b"dev/pts",
    b"dev/shm",
    b".dockerenv",
    b"dev",
    b"etc",
    b"proc",
    b"sys",
)
"""What an engine puts into every container; directories come after what is in them."""


class Change(NamedTuple):
    """A path, absolute, and MODIFIED, ADDED or DELETED."""

    path: bytes
    kind: int


class Trees(NamedTuple):
    """A container's own layer and those below it, top one first; `is_whole` when the first is a copy of all."""

    upper: str
    lowers: list[str]
    is_whole: bool


def trees(driver: Driver, key: str) -> Trees:
    """The directories of an active snapshot; NotFound."""
    upper, *below = driver.layers(key)
    parent = driver.parent(key)
    lowers = driver.layers(parent) if parent is not None else []
    return Trees(upper, lowers, is_whole=bool(lowers) and below != lowers)


def list_changes(found: Trees) -> list[Change]:
    """All changes, parents before what is in them, names sorted; what vanishes meanwhile is left out."""
    with ExitStack() as stack:
        upper_fd = _open(stack, found.upper)
        lower_fds = [_open(stack, lower) for lower in found.lowers]
        walk = _Walk(hidden(found), is_whole=found.is_whole)
        walking.run(walk.directory(upper_fd, lower_fds, b""))
    return walk.changes


def hidden(found: Trees) -> frozenset[bytes]:
    """The relative paths in the upper directory that stand there only because the engine mounts something on them."""
    paths: set[bytes] = set()
    with ExitStack() as stack:
        upper_fd = _open(stack, found.upper)
        lower_fds = [_open(stack, lower) for lower in found.lowers]
        for path in _PLACEHOLDERS:
            info = _status(upper_fd, path)
            if info is None or not _is_blank(upper_fd, path, info, paths):
                continue
            below = next((each for fd in lower_fds if (each := _status(fd, path)) is not None), None)
            if below is None or (stat.S_ISDIR(below.st_mode) and not _differs(below, info)):
                paths.add(path)
    return frozenset(paths)


def _open(stack: ExitStack, path: str) -> int:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd


def _status(fd: int, path: bytes) -> os.stat_result | None:
    """lstat of one of our own fixed paths, in no link's direction."""
    parent, _, name = path.rpartition(b"/")
    try:
        if not parent:
            return os.stat(name, dir_fd=fd, follow_symlinks=False)
        parent_fd = os.open(parent, _DIRECTORY, dir_fd=fd)
    except OSError:
        return None
    try:
        return os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    except OSError:
        return None
    finally:
        os.close(parent_fd)


def _is_blank(upper_fd: int, path: bytes, info: os.stat_result, known: set[bytes]) -> bool:
    """Nothing is in it but other placeholders."""
    if stat.S_ISREG(info.st_mode):
        return info.st_size == 0
    if not stat.S_ISDIR(info.st_mode):
        return False
    fd = os.open(path, _DIRECTORY, dir_fd=upper_fd)
    try:
        return not is_opaque(fd) and all(path + b"/" + os.fsencode(name) in known for name in os.listdir(fd))
    finally:
        os.close(fd)


def _differs(old: os.stat_result, new: os.stat_result) -> bool:
    if (old.st_mode, old.st_uid, old.st_gid, old.st_rdev) != (new.st_mode, new.st_uid, new.st_gid, new.st_rdev):
        return True
    if stat.S_ISDIR(old.st_mode):
        return False
    return (old.st_mtime_ns, old.st_size) != (new.st_mtime_ns, new.st_size)


class _Walk:
    def __init__(self, hidden_paths: frozenset[bytes], *, is_whole: bool) -> None:
        self.changes: list[Change] = []
        self._hidden = hidden_paths
        self._is_whole = is_whole

    def directory(self, upper_fd: int, lower_fds: Sequence[int], path: bytes) -> Walk:
        """Compares what is in a directory; `lower_fds` are the directories of that path that show through, or did."""
        now = listing(upper_fd)
        gone: set[bytes] = set()
        if lower_fds and (self._is_whole or is_opaque(upper_fd)):
            gone = _names(lower_fds) - now.keys()
        for name in sorted(now.keys() | gone):
            own = path + name
            if own in self._hidden:
                continue
            if name in gone or whiteouts.is_overlay_whiteout(now[name].info):
                if name in gone or _find(lower_fds, name):
                    self._add(own, DELETED)
                continue
            yield from self._compare(now[name], _find(lower_fds, name), own)

    def _compare(self, new: Found, stack: list[Found], own: bytes) -> Walk:
        old = stack[0] if stack else None
        if old is None:
            self._add(own, ADDED)
        is_directory = stat.S_ISDIR(new.info.st_mode)
        if old is not None and (_differs(old.info, new.info) or _capability(old) != _capability(new)):
            self._add(own, MODIFIED)
        if not is_directory:
            return
        before = len(self.changes)
        is_listed = bool(self.changes) and self.changes[-1].path == b"/" + own
        with ExitStack() as held:
            try:
                fds = [_enter(held, new)]
                fds += [_enter(held, each) for each in stack if stat.S_ISDIR(each.info.st_mode)]
            except OSError:  # gone meanwhile
                return
            yield self.directory(fds[0], fds[1:], own + b"/")
        if len(self.changes) > before and not is_listed:
            self.changes.insert(before, Change(b"/" + own, MODIFIED))

    def _add(self, path: bytes, kind: int) -> None:
        self.changes.append(Change(b"/" + path, kind))


def _enter(held: ExitStack, found: Found) -> int:
    fd = os.open(found.name, _DIRECTORY, dir_fd=found.directory_fd)
    held.callback(os.close, fd)
    return fd


def _find(fds: Sequence[int], name: bytes) -> list[Found]:
    """What the lower layers show under a name: one file, or the directories that make one up."""
    stack: list[Found] = []
    for fd in fds:
        try:
            info = os.stat(name, dir_fd=fd, follow_symlinks=False)
        except OSError:
            continue
        is_directory = stat.S_ISDIR(info.st_mode)
        if whiteouts.is_overlay_whiteout(info) or (stack and not is_directory):
            break
        stack.append(Found(name, fd, info))
        if not is_directory or _hides_below(fd, name):
            break
    return stack


def _names(fds: Sequence[int]) -> set[bytes]:
    """What the lower layers show together."""
    seen: dict[bytes, bool] = {}
    for fd in fds:
        for name, found in listing(fd).items():
            seen.setdefault(name, not whiteouts.is_overlay_whiteout(found.info))
    return {name for name, is_there in seen.items() if is_there}


def _hides_below(fd: int, name: bytes) -> bool:
    try:
        child_fd = os.open(name, _DIRECTORY, dir_fd=fd)
    except OSError:
        return False
    try:
        return is_opaque(child_fd)
    finally:
        os.close(child_fd)


def _capability(found: Found) -> bytes:
    """The file's capabilities, which are set without a change of its times."""
    if not stat.S_ISREG(found.info.st_mode):
        return b""
    try:
        return os.getxattr(
            b"/proc/self/fd/%d/%s" % (found.directory_fd, found.name), _CAPABILITY, follow_symlinks=False
        )
    except OSError:
        return b""
