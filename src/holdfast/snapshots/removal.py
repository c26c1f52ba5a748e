# SPDX-License-Identifier: Apache-2.0
"""Deletes trees that strangers made: by descriptors, never through a symlink, however deep they are.

A container can nest directories deeper than any number of descriptors or recursion allows. Below a fixed depth a
directory is moved to the top of the tree that is being deleted and dealt with there. Idempotent.
"""

from __future__ import annotations

import os
import stat

_DEPTH_LIMIT = 64
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove(name: str | bytes, *, dir_fd: int) -> None:
    """Removes a file or a whole tree; it is no error that it is gone."""
    try:
        if not stat.S_ISDIR(os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_mode):
            os.unlink(name, dir_fd=dir_fd)
            return
        top_fd = os.open(name, _DIRECTORY, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    try:
        empty(top_fd)
    finally:
        os.close(top_fd)
    os.rmdir(name, dir_fd=dir_fd)


def empty(top_fd: int) -> None:
    """Removes all that a directory holds."""
    moved = 0
    while True:
        before = moved
        moved = _sweep(top_fd, moved)
        if moved == before:
            return


def _sweep(top_fd: int, moved: int) -> int:
    """One pass down to the depth limit; returns the number of directories moved to the top so far."""
    stack: list[tuple[int, str | None, list[str]]] = [(top_fd, None, _clear(top_fd))]
    try:
        while stack:
            fd, name, directories = stack[-1]
            if directories:
                child = directories.pop()
                if len(stack) > _DEPTH_LIMIT:
                    os.rename(child, f".moved-{moved}-{os.getpid()}", src_dir_fd=fd, dst_dir_fd=top_fd)
                    moved += 1
                    continue
                child_fd = os.open(child, _DIRECTORY, dir_fd=fd)
                stack.append((child_fd, child, _clear(child_fd)))
                continue
            stack.pop()
            if name is not None:
                os.close(fd)
                os.rmdir(name, dir_fd=stack[-1][0])
    finally:
        for fd, name, _ in stack:
            if name is not None:
                os.close(fd)
    return moved


def _clear(fd: int) -> list[str]:
    """Unlinks what is not a directory; returns the names of what is."""
    directories: list[str] = []
    with os.scandir(fd) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=fd)
    return directories
