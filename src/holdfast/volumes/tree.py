# SPDX-License-Identifier: Apache-2.0
"""Copying a directory of an image into a new volume, and counting what a volume holds.

The source belongs to strangers: every name is opened below a root descriptor with openat2, links are copied and never
followed, and no string path of the source is used twice. Called by `volumes.store`.
Source: openat2(2); moby `copyExistingContents` for what is copied (owner, mode, times, xattrs, hard links, devices).
"""

from __future__ import annotations

import errno
import os
import stat

from holdfast.errors import Exhausted, InvalidArgument
from holdfast.kernel import paths

_READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_SEND_BYTES = 8 << 20
_KEPT_XATTRS = ("user.", "security.capability", "system.posix_acl_")
_OVERLAY_XATTRS = ("user.overlay.",)


def has_directory(source_root_fd: int, container_path: str) -> bool:
    """Tells whether the source has such a directory."""
    try:
        os.close(paths.openat2(source_root_fd, container_path, paths.DIRECTORY))
    except OSError:
        return False
    return True


def copy_up(source_root_fd: int, container_path: str, target: str) -> bool:
    """Copies the directory `container_path` of the source into the host directory `target` if that is empty.

    False when the target has something, or the source has no such directory. Exhausted when the disk is full: then
    the target is left as far as it got, and the caller removes it.
    """
    with os.scandir(target) as entries:
        if any(entries):
            return False
    try:
        source_fd = paths.openat2(source_root_fd, container_path, _READ_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise InvalidArgument(f"cannot copy {container_path} of the image: {os.strerror(error.errno or 0)}") from error
    target_fd = os.open(target, _READ_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _Copy(source_fd, target_fd).run()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise Exhausted(f"no space left to copy {container_path} of the image into a volume") from error
        raise
    finally:
        os.close(target_fd)
        os.close(source_fd)
    return True


def size_bytes(path: str) -> int:
    """The sum of the files' sizes, hard links counted once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    root_fd = os.open(path, _READ_DIRECTORY | os.O_CLOEXEC)
    try:
        pending = ["."]
        while pending:
            directories, found = _look(root_fd, pending.pop())
            pending.extend(directories)
            for key, size in found:
                total += 0 if key in seen else size
                seen.add(key)
    finally:
        os.close(root_fd)
    return total


def _look(root_fd: int, path: str) -> tuple[list[str], list[tuple[tuple[int, int], int]]]:
    """The directories in one directory, and the identity and size of its files; nothing when it is gone."""
    directories: list[str] = []
    files: list[tuple[tuple[int, int], int]] = []
    try:
        fd = paths.openat2(root_fd, path, _READ_DIRECTORY, resolve=paths.PLAIN)
    except OSError:
        return directories, files
    try:
        with os.scandir(fd) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    directories.append(f"{path}/{entry.name}")
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                files.append(((found.st_dev, found.st_ino), found.st_size))
    finally:
        os.close(fd)
    return directories, files


class _Copy:
    """One copy; directories are taken from a list, so depth costs no stack."""

    def __init__(self, source_fd: int, target_fd: int) -> None:
        self._source_fd = source_fd
        self._target_fd = target_fd
        self._linked: dict[tuple[int, int], str] = {}

    def run(self) -> None:
        pending = ["."]
        made: list[tuple[str, os.stat_result]] = []
        while pending:
            path = pending.pop()
            source_fd = paths.openat2(self._source_fd, path, _READ_DIRECTORY, resolve=paths.PLAIN)
            target_fd = paths.openat2(self._target_fd, path, _READ_DIRECTORY, resolve=paths.PLAIN)
            try:
                made.append((path, os.fstat(source_fd)))
                _copy_xattrs(source_fd, target_fd)
                with os.scandir(source_fd) as entries:
                    names = [entry.name for entry in entries]
                pending.extend(
                    f"{path}/{name}" for name in names if self._copy_entry(source_fd, target_fd, f"{path}/{name}", name)
                )
            finally:
                os.close(target_fd)
                os.close(source_fd)
        for path, found in reversed(made):  # children first: a directory's time changes when it is filled
            fd = paths.openat2(self._target_fd, path, _READ_DIRECTORY, resolve=paths.PLAIN)
            try:
                os.fchown(fd, found.st_uid, found.st_gid)
                os.fchmod(fd, stat.S_IMODE(found.st_mode))
                os.utime(fd, ns=(found.st_atime_ns, found.st_mtime_ns))
            finally:
                os.close(fd)

    def _copy_entry(self, source_fd: int, target_fd: int, path: str, name: str) -> bool:
        """Copies one entry; True when it is a directory, which is then only made."""
        found = os.stat(name, dir_fd=source_fd, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            os.mkdir(name, 0o700, dir_fd=target_fd)
            return True
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in self._linked:
            os.link(self._linked[key], name, src_dir_fd=self._target_fd, dst_dir_fd=target_fd, follow_symlinks=False)
            return False
        self._linked[key] = path
        if stat.S_ISREG(found.st_mode):
            _copy_file(source_fd, target_fd, name, found)
            return False
        if stat.S_ISLNK(found.st_mode):
            os.symlink(os.readlink(name, dir_fd=source_fd), name, dir_fd=target_fd)
        else:
            os.mknod(name, found.st_mode, found.st_rdev, dir_fd=target_fd)
            os.chmod(name, stat.S_IMODE(found.st_mode), dir_fd=target_fd)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=target_fd, follow_symlinks=False)
        os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target_fd, follow_symlinks=False)
        return False


def _copy_file(source_fd: int, target_fd: int, name: str, found: os.stat_result) -> None:
    reader = paths.openat2(source_fd, name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, resolve=paths.PLAIN)
    try:
        writer = os.open(
            name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=target_fd
        )
        try:
            while os.sendfile(writer, reader, None, _SEND_BYTES):
                pass
            os.fchown(writer, found.st_uid, found.st_gid)
            os.fchmod(writer, stat.S_IMODE(found.st_mode))
            _copy_xattrs(reader, writer)
            os.utime(writer, ns=(found.st_atime_ns, found.st_mtime_ns))
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_xattrs(source_fd: int, target_fd: int) -> None:
    try:
        names = os.listxattr(source_fd)
    except OSError:
        return
    for name in names:
        if name.startswith(_KEPT_XATTRS) and not name.startswith(_OVERLAY_XATTRS):
            try:
                os.setxattr(target_fd, name, os.getxattr(source_fd, name))
            except OSError as error:
                if error.errno not in (errno.ENOTSUP, errno.ENODATA):
                    raise
