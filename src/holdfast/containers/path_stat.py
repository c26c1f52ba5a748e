# SPDX-License-Identifier: Apache-2.0
"""Paths that a client names in a container, for `docker cp`: cleaned as Docker cleans them, looked at without a race.

Everything is walked with openat2 below a root descriptor. What is found stays open, so that what is told is what is
copied. Called by the job archive. Source: Engine API v1.51 ContainerArchiveInfo; Go's `filepath` and `fs.FileMode`.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

from holdfast.kernel import paths

_LINK_LIMIT = 255
_GO_KINDS = {
    stat.S_IFDIR: 1 << 31,
    stat.S_IFLNK: 1 << 27,
    stat.S_IFBLK: 1 << 26,
    stat.S_IFCHR: 1 << 26 | 1 << 21,
    stat.S_IFIFO: 1 << 25,
    stat.S_IFSOCK: 1 << 24,
}
_GO_BITS = {stat.S_ISUID: 1 << 23, stat.S_ISGID: 1 << 22, stat.S_ISVTX: 1 << 20}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Something in the container: its open directory and its name there; for a directory itself and `.`."""

    directory_fd: int
    name: bytes
    info: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.info.st_mode)


def clean(path: str) -> str:
    """An absolute path without `..`, by its text alone; a trailing `/` or `/.` stays, it means the directory itself."""
    cleaned = posixpath.normpath(f"/{path}").replace("//", "/")
    if base(path) == ".":
        cleaned = f"{cleaned.rstrip('/')}/."
    if path.endswith("/") and not cleaned.endswith("/"):
        cleaned += "/"
    return cleaned


def base(path: str) -> str:
    """The last name of a path as Go's `filepath.Base` gives it."""
    stripped = path.rstrip("/")
    if not stripped:
        return "/" if path else "."
    return stripped.rpartition("/")[2]


def go_mode(mode: int) -> int:
    """A Unix mode in Go's own bits."""
    bits = mode & 0o777 | _GO_KINDS.get(stat.S_IFMT(mode), 0)
    return bits | sum(go for unix, go in _GO_BITS.items() if mode & unix)


@contextmanager
def found(root_fd: int, path: str) -> Generator[Place]:
    """What a path stands for, its last link not followed (unless the path ends in `/`); raises OSError."""
    with _opened(root_fd, path, os.O_PATH | os.O_NOFOLLOW) as fd:
        info = os.fstat(fd)
        if stat.S_ISDIR(info.st_mode):
            directory_fd = paths.openat2(fd, ".", os.O_RDONLY | os.O_DIRECTORY)
            name = b"."
        else:
            parent, _, last = path.rpartition("/")
            directory_fd = paths.openat2(root_fd, parent or "/", os.O_RDONLY | os.O_DIRECTORY)
            name = os.fsencode(last)
    try:
        if name != b".":
            info = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        yield Place(directory_fd=directory_fd, name=name, info=info)
    finally:
        os.close(directory_fd)


@contextmanager
def _opened(root_fd: int, path: str, flags: int) -> Generator[int]:
    fd = paths.openat2(root_fd, path, flags)
    try:
        yield fd
    finally:
        os.close(fd)


def link_target(root_fd: int, path: str) -> str:
    """Where the link at a path finally leads, as an absolute path of the container; what is missing is kept as text.

    For showing only: by the time it is read, it may be otherwise.
    """
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    done: list[str] = []
    links = 0
    while todo:
        part = todo.pop()
        if part == "..":
            del done[-1:]
            continue
        target = _read_link(root_fd, "/".join((*done, part)))
        if target is None:
            done.append(part)
            continue
        links += 1
        if links > _LINK_LIMIT:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        if target.startswith("/"):
            done.clear()
        todo += [step for step in reversed(target.split("/")) if step not in ("", ".")]
    return "/" + "/".join(done)


def _read_link(root_fd: int, path: str) -> str | None:
    try:
        with _opened(root_fd, path, os.O_PATH | os.O_NOFOLLOW) as fd:
            return os.readlink("", dir_fd=fd) if stat.S_ISLNK(os.fstat(fd).st_mode) else None
    except OSError:
        return None
