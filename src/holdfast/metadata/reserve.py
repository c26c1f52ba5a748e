# SPDX-License-Identifier: Apache-2.0
"""Disk space kept for the hour of need: a file that is deleted when the disk is full, and made again at the next start.

Called by `store`. Source: posix_fallocate(3).
"""

from __future__ import annotations

import os
from pathlib import Path

_COMFORT = 16
"""The reserve is only made where there is this many times its size."""


def make(path: Path, size_bytes: int) -> None:
    """Makes the file, unless it is there or the disk is nearly full; a failure leaves nothing."""
    try:
        if path.exists() and path.stat().st_blocks * 512 >= size_bytes:
            return
        disk = os.statvfs(path.parent)
        if disk.f_bavail * disk.f_frsize < size_bytes * _COMFORT:
            return
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, size_bytes)
        finally:
            os.close(fd)
    except OSError:
        give_up(path)


def give_up(path: Path) -> bool:
    """Deletes the file; tells whether that gave room."""
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
