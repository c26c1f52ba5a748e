# SPDX-License-Identifier: Apache-2.0
"""Deletions in layers: `.wh.NAME` and `.wh..wh..opq` in tars, and the two ways of carrying them out.

`Overlay` writes what the kernel's overlay understands (a 0:0 character device, an xattr); `Direct` deletes in a tree
that holds a copy of the parent. A whiteout hides only what lower layers brought (OCI image-spec §layer "Whiteouts").
"""

from __future__ import annotations

import os
import stat
from typing import Protocol

from holdfast.errors import InvalidArgument
from holdfast.snapshots import removal

PREFIX = b".wh."
OPAQUE = b".wh..wh..opq"
META_PREFIX = b".wh..wh."
OPAQUE_XATTR = "trusted.overlay.opaque"
_ANY_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def target_of(base: bytes) -> bytes | None:
    """The name that a `.wh.` entry deletes; None for the marks of long-gone AUFS. InvalidArgument for a trick."""
    if base.startswith(META_PREFIX):
        return None
    name = base[len(PREFIX) :]
    if name in (b"", b".", b".."):
        raise InvalidArgument(f"layer has the impossible whiteout {base!r}")
    return name


def is_overlay_whiteout(info: os.stat_result) -> bool:
    """Tells whether the kernel's overlay would take the file for a deletion."""
    return stat.S_ISCHR(info.st_mode) and info.st_rdev == 0


class Style(Protocol):
    """How a driver carries deletions out; `path` is the entry's cleaned path, for bookkeeping."""

    def delete(self, parent_fd: int, name: bytes, path: bytes) -> None:
        """Hides the name that lower layers may have."""
        ...

    def make_opaque(self, directory_fd: int, path: bytes) -> None:
        """Hides all that lower layers have in the directory."""
        ...

    def created(self, path: bytes) -> None:
        """Hears of every path that the layer itself brings."""
        ...

    def replaced(self, info: os.stat_result, directory_fd: int) -> None:
        """Hears that something was there, and a directory is now."""
        ...


class Overlay:
    """Marks for overlayfs in the upper directory of one layer."""

    def delete(self, parent_fd: int, name: bytes, path: bytes) -> None:
        del path
        try:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent_fd)
        except FileExistsError:
            self._hide_below(parent_fd, name)

    def _hide_below(self, parent_fd: int, name: bytes) -> None:
        """The layer itself brings that name: if it is a directory, it must not show the lower one through."""
        try:
            fd = os.open(name, _ANY_DIRECTORY, dir_fd=parent_fd)
        except OSError:  # a file or link hides by itself
            return
        try:
            os.setxattr(fd, OPAQUE_XATTR, b"y")
        finally:
            os.close(fd)

    def make_opaque(self, directory_fd: int, path: bytes) -> None:
        del path
        os.setxattr(directory_fd, OPAQUE_XATTR, b"y")

    def created(self, path: bytes) -> None:
        del path

    def replaced(self, info: os.stat_result, directory_fd: int) -> None:
        if is_overlay_whiteout(info):
            os.setxattr(directory_fd, OPAQUE_XATTR, b"y")


class Direct:
    """Deletion in place, sparing what the layer itself has brought."""

    def __init__(self) -> None:
        self._created: set[bytes] = set()

    def delete(self, parent_fd: int, name: bytes, path: bytes) -> None:
        if path not in self._created:
            removal.remove(name, dir_fd=parent_fd)
            return
        try:
            fd = os.open(name, _ANY_DIRECTORY, dir_fd=parent_fd)
        except OSError:  # a file or link of this layer has already replaced the lower one
            return
        try:
            self.make_opaque(fd, path)
        finally:
            os.close(fd)

    def make_opaque(self, directory_fd: int, path: bytes) -> None:
        for name in os.listdir(directory_fd):
            child = os.fsencode(name)
            child_path = path + b"/" + child if path else child
            self.delete(directory_fd, child, child_path)

    def created(self, path: bytes) -> None:
        while path and path not in self._created:
            self._created.add(path)
            path = path.rpartition(b"/")[0]

    def replaced(self, info: os.stat_result, directory_fd: int) -> None:
        del info, directory_fd
