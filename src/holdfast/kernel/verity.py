# SPDX-License-Identifier: Apache-2.0
"""fs-verity: the kernel checks each block of a file against a tree of hashes whenever it reads it from disk.

A file that has it can never be written again, and what the disk changes is an I/O error instead of other content. Where
the file system or the kernel has no fs-verity, `enable` says so and nothing has happened. Called by the erofs driver.
Source: Linux Documentation/filesystems/fsverity.rst (ext4 with the feature `verity`, f2fs, btrfs; CONFIG_FS_VERITY).
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct

_ENABLE = 0x40806685
_MEASURE = 0xC0046686
_ARGUMENT = struct.Struct("<IIIIQIIQ88x")
_DIGEST = struct.Struct("<HH")
_VERSION, _SHA256 = 1, 1
_SHA256_BYTES = 32
_BLOCK_BYTES = 4096
_NOT_HERE = (errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)
_NONE = (errno.ENODATA, errno.ENOTTY, errno.EOPNOTSUPP, errno.ENOSYS)


def enable(path: str) -> str:
    """Seals a file that nobody has open for writing, durably; returns its digest, empty where there is no fs-verity.

    Reads the file once. OSError for anything else: ETXTBSY while it is open for writing, ENOSPC for the tree.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.ioctl(fd, _ENABLE, _ARGUMENT.pack(_VERSION, _SHA256, _BLOCK_BYTES, 0, 0, 0, 0, 0))
        except OSError as error:
            if error.errno in _NOT_HERE:
                return ""
            if error.errno != errno.EEXIST:
                raise
        return _measure(fd)
    finally:
        os.close(fd)


def measure(path: str) -> str:
    """The digest that the kernel holds a file to, without reading it; empty for a file that is not sealed."""
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        return _measure(fd)
    finally:
        os.close(fd)


def _measure(fd: int) -> str:
    buffer = bytearray(_DIGEST.pack(0, _SHA256_BYTES) + bytes(_SHA256_BYTES))
    try:
        fcntl.ioctl(fd, _MEASURE, buffer)
    except OSError as error:
        if error.errno in _NONE:
            return ""
        raise
    return "sha256:" + buffer[_DIGEST.size :].hex()
