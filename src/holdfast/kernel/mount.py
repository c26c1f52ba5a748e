# SPDX-License-Identifier: Apache-2.0
"""Mounts, by descriptors: the new mount API, the old mount(2) where it is needed, and options as words and bits.

A mount is made detached (`new`, `clone`, `overlay.new`), shaped (`set_attributes`) and then put on a target that is a
descriptor too (`attach`), so no name is looked up twice. It does not decide what is mounted where: the runtime and the
snapshot drivers do. Source: fsopen(2), fsconfig(2), fsmount(2), open_tree(2), move_mount(2), mount_setattr(2).
"""

from __future__ import annotations

import ctypes
import os
import struct

from holdfast.kernel import syscalls

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000
AT_SYMLINK_NOFOLLOW = 0x100

# of mount_setattr(2) and fsmount(2)
ATTR_RDONLY = 0x1
ATTR_NOSUID = 0x2
ATTR_NODEV = 0x4
ATTR_NOEXEC = 0x8
ATTR_ATIME = 0x70
ATTR_RELATIME = 0x0
ATTR_NOATIME = 0x10
ATTR_STRICTATIME = 0x20
ATTR_NODIRATIME = 0x80
ATTR_IDMAP = 0x100000
ATTR_NOSYMFOLLOW = 0x200000

# of the old mount(2)
MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_SYNCHRONOUS = 0x10
MS_REMOUNT = 0x20
MS_MANDLOCK = 0x40
MS_DIRSYNC = 0x80
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_REC = 0x4000
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_OPEN_TREE_CLONE = 1
_OPEN_TREE_CLOEXEC = os.O_CLOEXEC
_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_SET_FLAG, _SET_STRING, _SET_FD, _CREATE = 0, 1, 5, 6
_EMPTY_TO_EMPTY = 0x04 | 0x40  # MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH


def encode(text: str | bytes) -> bytes:
    """A path or an option as the kernel takes it."""
    return text if isinstance(text, bytes) else os.fsencode(text)


def mount(source: str, target: str, fstype: str, flags: int = 0, data: str = "") -> None:
    """mount(2), by names: only for host paths that nobody else can change."""
    syscalls.call(syscalls.MOUNT, encode(source), encode(target), encode(fstype), flags, encode(data) if data else None)


def unmount(target: str, flags: int = MNT_DETACH) -> None:
    """umount2(2); detaches unless told otherwise."""
    syscalls.call(syscalls.UMOUNT2, encode(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2); `pivot_root(".", ".")` needs no directory for the old root."""
    syscalls.call(syscalls.PIVOT_ROOT, encode(new_root), encode(put_old))


class Context:
    """A file system being configured: one fsopen descriptor. Use `new` unless a parameter needs a descriptor."""

    __slots__ = ("fd", "fstype")

    def __init__(self, fstype: str) -> None:
        self.fstype = fstype
        self.fd = syscalls.call(syscalls.FSOPEN, fstype.encode(), _FSOPEN_CLOEXEC)

    def set(self, key: str, value: str | bytes | None = None) -> None:
        """Sets one parameter; a flag when there is no value. EINVAL means that the file system does not know it."""
        if value is None:
            syscalls.call(syscalls.FSCONFIG, self.fd, _SET_FLAG, key.encode(), None, 0)
        else:
            syscalls.call(syscalls.FSCONFIG, self.fd, _SET_STRING, key.encode(), encode(value), 0)

    def set_fd(self, key: str, fd: int) -> None:
        """Sets one parameter to an open file."""
        syscalls.call(syscalls.FSCONFIG, self.fd, _SET_FD, key.encode(), None, fd)

    def create(self, attributes: int = 0) -> int:
        """Makes the superblock and returns a detached mount of it; the context can be closed then."""
        syscalls.call(syscalls.FSCONFIG, self.fd, _CREATE, None, None, 0)
        return syscalls.call(syscalls.FSMOUNT, self.fd, _FSMOUNT_CLOEXEC, attributes)

    def complaint(self) -> str:
        """What the file system has said about a failure, or an empty string (each read gives one message)."""
        lines: list[str] = []
        while len(lines) < 8:
            try:
                lines.append(os.read(self.fd, 1024).decode(errors="replace").strip())
            except OSError:
                break
        return "; ".join(line.partition(" ")[2] or line for line in lines)

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self.fd)


def new(fstype: str, options: tuple[str, ...] = (), *, source: str = "", attributes: int = 0) -> int:
    """A detached mount of a new instance of a file system; options are its own (`size=64m`, `gid=5`), not flags."""
    context = Context(fstype)
    try:
        if source:
            context.set("source", source)
        for option in options:
            key, equals, value = option.partition("=")
            context.set(key, value if equals else None)
        return context.create(attributes)
    except OSError as error:
        raise explained(error, context) from None
    finally:
        context.close()


def explained(error: OSError, context: Context) -> OSError:
    """The error with what the file system has said about it."""
    complaint = context.complaint()
    return OSError(error.errno, f"{os.strerror(error.errno or 0)}{f' ({complaint})' if complaint else ''}")


def clone(path: str, *, directory_fd: int = AT_FDCWD, recursive: bool = False) -> int:
    """A detached copy of the mount at `path` (a bind mount without a place); follows links, so for trusted names."""
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return syscalls.call(syscalls.OPEN_TREE, directory_fd, encode(path), flags)


def clone_fd(fd: int, *, recursive: bool = False) -> int:
    """A detached copy of the mount that an open (or O_PATH) descriptor stands on, rooted at that very file.

    The descriptor's mount must be of the caller's mount namespace (EINVAL otherwise).
    """
    flags = _OPEN_TREE_CLONE | _OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    return syscalls.call(syscalls.OPEN_TREE, fd, b"", flags)


def attach(mount_fd: int, target_fd: int) -> None:
    """Puts a detached mount onto the file or directory that `target_fd` is: no name is resolved."""
    syscalls.call(syscalls.MOVE_MOUNT, mount_fd, b"", target_fd, b"", _EMPTY_TO_EMPTY)


def attach_at(mount_fd: int, target: str) -> None:
    """Puts a detached mount onto a host path that nobody else can change."""
    syscalls.call(syscalls.MOVE_MOUNT, mount_fd, b"", AT_FDCWD, encode(target), 0x04)


def set_attributes(
    mount_fd: int,
    *,
    add: int = 0,
    remove: int = 0,
    propagation: int = 0,
    recursive: bool = False,
    userns_fd: int = 0,
) -> None:
    """mount_setattr(2) on a mount's descriptor. An access-time bit in `add` implies clearing the ones that are set."""
    if add & ATTR_ATIME or remove & ATTR_ATIME:
        remove |= ATTR_ATIME
    attributes = struct.pack("QQQQ", add, remove, propagation, userns_fd)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    syscalls.call(syscalls.MOUNT_SETATTR, mount_fd, b"", flags, attributes, len(attributes))


def magic(fd: int) -> int:
    """The type of the file system that an open descriptor stands on (statfs(2)'s f_type)."""
    answer = ctypes.create_string_buffer(256)
    syscalls.call(syscalls.FSTATFS, fd, answer)
    return int.from_bytes(answer.raw[:8], "little")
