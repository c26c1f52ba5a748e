# SPDX-License-Identifier: Apache-2.0
"""Deleting a tree that a container filled, however deep it is.

Directories are moved up into the tree's top before they are emptied, so there is no recursion, two descriptors are
enough, and no path is longer than a name. Links are never followed. Called by `volumes.store`.
"""

from __future__ import annotations

import os
import secrets

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Deletes the directory and all below it; raises OSError and leaves the rest when the kernel refuses."""
    top_fd = os.open(path, _DIRECTORY)
    try:
        while directories := _unlink_files(top_fd):
            for name in directories:
                _empty(top_fd, name)
                os.rmdir(name, dir_fd=top_fd)
    finally:
        os.close(top_fd)
    os.rmdir(path)


def _empty(top_fd: int, name: str) -> None:
    """Unlinks the files of one directory of the top and moves its directories up, under names that nobody guesses."""
    directory_fd = os.open(name, _DIRECTORY, dir_fd=top_fd)
    try:
        for child in _unlink_files(directory_fd):
            os.rename(child, f".{secrets.token_hex(12)}", src_dir_fd=directory_fd, dst_dir_fd=top_fd)
    finally:
        os.close(directory_fd)


def _unlink_files(directory_fd: int) -> list[str]:
    """Unlinks everything that is no directory and returns the names of those that are."""
    directories: list[str] = []
    with os.scandir(directory_fd) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                directories.append(entry.name)
            else:
                os.unlink(entry.name, dir_fd=directory_fd)
    return directories
