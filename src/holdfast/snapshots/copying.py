# SPDX-License-Identifier: Apache-2.0
"""Copies a directory tree with everything that a container can see of it: owners, modes, times, xattrs, hard links.

By descriptors; symlinks are copied, never followed. The source must not change meanwhile (committed snapshots do not).
"""

from __future__ import annotations

import os
import stat

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1 << 30


def copy_tree(source: str, target: str) -> None:
    """Copies what the directory `source` holds into the existing, empty directory `target`, and its attributes."""
    source_fd = os.open(source, _DIRECTORY)
    try:
        target_fd = os.open(target, _DIRECTORY)
        try:
            _Copy(target_fd).directory(source_fd, target_fd, b"")
        finally:
            os.close(target_fd)
    finally:
        os.close(source_fd)


class _Copy:
    def __init__(self, top_fd: int) -> None:
        self._top_fd = top_fd
        self._linked: dict[tuple[int, int], bytes] = {}

    def directory(self, source_fd: int, target_fd: int, path: bytes) -> None:
        for text in os.listdir(source_fd):
            name = os.fsencode(text)
            own = path + b"/" + name if path else name
            info = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
            if stat.S_ISDIR(info.st_mode):
                self._subdirectory(source_fd, target_fd, name, own)
            elif not self._link(info, target_fd, name, own):
                _copy_one(info, source_fd, target_fd, name)
        _copy_attributes(os.fstat(source_fd), source_fd, target_fd)

    def _subdirectory(self, source_fd: int, target_fd: int, name: bytes, path: bytes) -> None:
        os.mkdir(name, 0o700, dir_fd=target_fd)
        below_source = os.open(name, _DIRECTORY, dir_fd=source_fd)
        try:
            below_target = os.open(name, _DIRECTORY, dir_fd=target_fd)
            try:
                self.directory(below_source, below_target, path)
            finally:
                os.close(below_target)
        finally:
            os.close(below_source)

    def _link(self, info: os.stat_result, target_fd: int, name: bytes, path: bytes) -> bool:
        """Links to the copy made of the same inode earlier; False when this is the first one."""
        if info.st_nlink < 2:
            return False
        first = self._linked.setdefault((info.st_dev, info.st_ino), path)
        if first == path:
            return False
        os.link(first, name, src_dir_fd=self._top_fd, dst_dir_fd=target_fd, follow_symlinks=False)
        return True


def _copy_one(info: os.stat_result, source_fd: int, target_fd: int, name: bytes) -> None:
    if stat.S_ISREG(info.st_mode):
        _copy_file(info, source_fd, target_fd, name)
        return
    if stat.S_ISLNK(info.st_mode):
        os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
    elif stat.S_ISSOCK(info.st_mode):
        return
    else:
        os.mknod(name, stat.S_IFMT(info.st_mode) | 0o600, info.st_rdev, dir_fd=target_fd)
    os.chown(name, info.st_uid, info.st_gid, dir_fd=target_fd, follow_symlinks=False)
    if not stat.S_ISLNK(info.st_mode):
        os.chmod(name, stat.S_IMODE(info.st_mode), dir_fd=target_fd)
    os.utime(name, ns=(info.st_atime_ns, info.st_mtime_ns), dir_fd=target_fd, follow_symlinks=False)


def _copy_file(info: os.stat_result, source_fd: int, target_fd: int, name: bytes) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source_fd)
    try:
        writer = os.open(name, _CREATE, 0o600, dir_fd=target_fd)
        try:
            while os.copy_file_range(reader, writer, _PIECE_BYTES):
                pass
            _copy_attributes(info, reader, writer)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_attributes(info: os.stat_result, source_fd: int, target_fd: int) -> None:
    os.fchown(target_fd, info.st_uid, info.st_gid)
    os.fchmod(target_fd, stat.S_IMODE(info.st_mode))
    for name in os.listxattr(source_fd):
        os.setxattr(target_fd, name, os.getxattr(source_fd, name))
    os.utime(target_fd, ns=(info.st_atime_ns, info.st_mtime_ns))
