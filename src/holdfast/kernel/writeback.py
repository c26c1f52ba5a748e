# SPDX-License-Identifier: Apache-2.0
"""Begins to write a file's pages to disk while more are still to come, so that the fsync at the end finds little to do.

A hint: nothing is durable by it. Called by `content` (blobs) and by the erofs snapshot driver (images).
Source: sync_file_range(2).
"""

from __future__ import annotations

import errno

from holdfast.kernel import syscalls

STEP_BYTES = 8 << 20
"""How much is worth a call."""
_SYNC_FILE_RANGE = 277 if syscalls.MACHINE == "x86_64" else 84
_WRITE = 2
_NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.ESPIPE, errno.EPERM)


def start(fd: int, offset: int, length: int) -> None:
    """Begins with a range of the file; does not wait for it, unless the disk's queue is full."""
    try:
        syscalls.call(_SYNC_FILE_RANGE, fd, offset, length, _WRITE)
    except OSError as error:
        if error.errno not in _NOT_HERE:
            raise
