# SPDX-License-Identifier: Apache-2.0
"""What a directory tree holds: bytes of its files and symbolic links, and number of inodes, hard links once."""

from __future__ import annotations

import os
import stat

from holdfast.snapshots.driver import Usage

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def count(path: str) -> Usage:
    """Walks the tree by descriptors; what vanishes meanwhile is not counted."""
    size, inodes = 0, 1
    seen: set[tuple[int, int]] = set()
    pending = [path]
    while pending:
        current = pending.pop()
        try:
            fd = os.open(current, _DIRECTORY)
        except OSError:
            continue
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        info = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue
                    if info.st_nlink > 1 and not stat.S_ISDIR(info.st_mode):
                        if (info.st_dev, info.st_ino) in seen:
                            continue
                        seen.add((info.st_dev, info.st_ino))
                    inodes += 1
                    if stat.S_ISREG(info.st_mode) or stat.S_ISLNK(info.st_mode):
                        size += info.st_size
                    elif stat.S_ISDIR(info.st_mode):
                        pending.append(f"{current}/{entry.name}")
        finally:
            os.close(fd)
    return Usage(size, inodes)
