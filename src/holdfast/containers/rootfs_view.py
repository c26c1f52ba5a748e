# SPDX-License-Identifier: Apache-2.0
"""Reads a file of a container that does not run, without mounting anything: the layers looked through as overlayfs does.

Understands whiteouts, opaque directories and symlinks (absolute ones and `..` end at the root). Every step is an openat2
below one layer's directory that follows no link, so nothing leads out of the layers. Called by the jobs start and create.
Source: Documentation/filesystems/overlayfs.rst, openat2(2).
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence

from holdfast.errors import InvalidArgument
from holdfast.kernel import paths

_NOTHING_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV, errno.ENAMETOOLONG)
_LINK_LIMIT = 40
_OPAQUE = ("trusted.overlay.opaque", "user.overlay.opaque")


def read_file(layers: Sequence[str], path: str, limit: int) -> bytes:
    """The content of a regular file as the container would see it; empty when there is none, or it is no file.

    `layers` are directories, the top one first. InvalidArgument when the file is longer than `limit`.
    """
    place = _find(layers, path)
    if place is None:
        return b""
    layer, relative, kind = place
    if not stat.S_ISREG(kind):
        return b""
    root = paths.open_root(layer)
    try:
        fd = paths.openat2(root, relative, os.O_RDONLY | os.O_NONBLOCK, resolve=paths.PLAIN)
    finally:
        os.close(root)
    with open(fd, "rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise InvalidArgument(f"{path} of the image is larger than {limit} bytes")
    return data


def exists(layers: Sequence[str], path: str) -> bool:
    """True when the container would see something at the path."""
    return _find(layers, path) is not None


def find_directory(layers: Sequence[str], path: str) -> str | None:
    """The path without symlinks when it is a directory in the merged view, None when it is not."""
    place = _find(layers, path)
    return "/" + place[1] if place is not None and stat.S_ISDIR(place[2]) else None


def _find(layers: Sequence[str], path: str) -> tuple[str, str, int] | None:
    """(layer, path in it, mode) of what a path leads to in the merged tree."""
    todo = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    done: list[str] = []
    stack: list[list[str]] = [list(layers)]
    links = 0
    found: tuple[str, str, int] = (layers[0], ".", stat.S_IFDIR)
    while todo:
        part = todo.pop()
        if part == "..":
            if done:
                done.pop()
                stack.pop()
            found = (stack[-1][0], "/".join(done) or ".", stat.S_IFDIR)
            continue
        relative = "/".join((*done, part))
        looked = _look(stack[-1], relative)
        if looked is None:
            return None
        layer, mode, deeper = looked
        if stat.S_ISLNK(mode):
            links += 1
            if links > _LINK_LIMIT:
                return None
            target = _read_link(layer, relative)
            if target.startswith("/"):
                done, stack = [], stack[:1]
            todo.extend(step for step in reversed(target.split("/")) if step not in ("", "."))
            found = (stack[-1][0], "/".join(done) or ".", stat.S_IFDIR)
            continue
        found = (layer, relative, mode)
        if stat.S_ISDIR(mode):
            done.append(part)
            stack.append(deeper)
        elif todo:
            return None
    return found


def _look(layers: Sequence[str], relative: str) -> tuple[str, int, list[str]] | None:
    """(top layer that has it, its mode, all layers that add to it when it is a directory)."""
    top: tuple[str, int] | None = None
    parts: list[str] = []
    for layer in layers:
        status, is_opaque = _status(layer, relative)
        if status is None:
            continue
        if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
            break
        is_directory = stat.S_ISDIR(status.st_mode)
        if top is None:
            top = (layer, status.st_mode)
        elif not is_directory:
            break
        if not is_directory:
            break
        parts.append(layer)
        if is_opaque:
            break
    return (*top, parts) if top else None


def _status(layer: str, relative: str) -> tuple[os.stat_result | None, bool]:
    """lstat of a path in one layer, and whether it is an opaque directory; None when it is not there."""
    root = paths.open_root(layer)
    try:
        fd = paths.openat2(root, relative, os.O_PATH | os.O_NOFOLLOW, resolve=paths.BENEATH)
    except OSError as error:
        if error.errno in _NOTHING_THERE:
            return None, False
        raise
    finally:
        os.close(root)
    try:
        status = os.fstat(fd)
        return status, stat.S_ISDIR(status.st_mode) and _is_opaque(fd)
    finally:
        os.close(fd)


def _is_opaque(fd: int) -> bool:
    for name in _OPAQUE:
        try:
            if os.getxattr(f"/proc/self/fd/{fd}", name) == b"y":
                return True
        except OSError:
            continue
    return False


def _read_link(layer: str, relative: str) -> str:
    root = paths.open_root(layer)
    try:
        fd = paths.openat2(root, relative, os.O_PATH | os.O_NOFOLLOW, resolve=paths.BENEATH)
    finally:
        os.close(root)
    try:
        return os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)
