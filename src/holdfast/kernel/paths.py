# SPDX-License-Identifier: Apache-2.0
"""Paths inside a tree that somebody else controls: openat2 walks, and directories or files made on the way.

Every name of a container, an image layer or a volume is resolved here, from a descriptor of the tree's root, so that
symlinks, `..` and races end inside that tree (security.md R4, CVE-2021-30465, CVE-2024-45310). It never joins strings
and asks later. Called by the runtime (mount targets), by snapshots (layers) and by archive copies.
Source: openat2(2), path_resolution(7).
"""

from __future__ import annotations

import errno
import os
import stat

from holdfast.kernel import syscalls

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

IN_ROOT = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
"""Absolute names and links count from the root descriptor, `..` stops there, /proc's magic links are refused."""
BENEATH = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS
"""As IN_ROOT, but an absolute link or a climbing `..` is an error (EXDEV) instead of being bent inwards."""
PLAIN = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
"""No link of any kind on the way: for trees whose shape we know (our own procfs, a name in a directory)."""

DIRECTORY = os.O_PATH | os.O_DIRECTORY

_HOW_BYTES = 24
_RACE_TRIES = 128
_LINK_LIMIT = 40


def openat2(directory_fd: int, path: str | bytes, flags: int, mode: int = 0, resolve: int = IN_ROOT) -> int:
    """Opens `path` from `directory_fd` and returns a close-on-exec descriptor; raises OSError.

    A rename that runs against a `..` makes the kernel answer EAGAIN: it is tried again, up to 128 times.
    """
    name = path if isinstance(path, bytes) else os.fsencode(path)
    if b"\0" in name:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    how = (
        (flags | os.O_CLOEXEC).to_bytes(8, "little") + mode.to_bytes(8, "little") + resolve.to_bytes(8, "little")
    )  # both supported machines are little-endian
    for _ in range(_RACE_TRIES):
        try:
            return syscalls.call(syscalls.OPENAT2, directory_fd, name, how, _HOW_BYTES)
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.EINTR):
                error.filename = path
                raise
    raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN), path)


def open_root(path: str | bytes) -> int:
    """A path descriptor of a host directory that is to be the root of later walks."""
    return os.open(path, DIRECTORY | os.O_CLOEXEC)


def reopen(path_fd: int, flags: int) -> int:
    """A readable or writable descriptor of the very file that the O_PATH descriptor names."""
    return os.open(f"/proc/self/fd/{path_fd}", flags | os.O_CLOEXEC)


def read_file(root_fd: int, path: str | bytes, limit: int) -> bytes:
    """The whole content of a regular file in the tree; EFBIG above `limit` bytes, EINVAL when it is not a file."""
    fd = openat2(root_fd, path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        pieces: list[bytes] = []
        left = limit + 1
        while left > 0 and (piece := os.read(fd, min(left, 1 << 20))):
            pieces.append(piece)
            left -= len(piece)
        if left <= 0:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), path)
        return b"".join(pieces)
    finally:
        os.close(fd)


def make_directories(root_fd: int, path: str, mode: int = 0o755) -> int:
    """Opens the directory `path` of the tree, making what is missing; returns an O_PATH descriptor.

    A dangling link is followed as the kernel would, within the tree. `mode` is subject to the umask.
    """
    try:
        return openat2(root_fd, path or ".", DIRECTORY)
    except FileNotFoundError:
        pass
    parent, _, name = path.rstrip("/").rpartition("/")
    if name not in ("", ".", ".."):
        parent_fd = make_directories(root_fd, parent or "/", mode)
        try:
            os.mkdir(name, mode, dir_fd=parent_fd)
            return openat2(parent_fd, name, DIRECTORY | os.O_NOFOLLOW, resolve=PLAIN)
        except FileExistsError:
            pass  # a dangling link, or somebody was quicker
        finally:
            os.close(parent_fd)
    directory_fd, _ = _walk(root_fd, path, mode)
    return directory_fd


def make_directories_owned(root_fd: int, path: str, mode: int, uid: int, gid: int) -> int:
    """As make_directories, and every directory that it made belongs to uid:gid."""
    try:
        return openat2(root_fd, path or ".", DIRECTORY)
    except FileNotFoundError:
        directory_fd, created = _walk(root_fd, path, mode)
    for known, name in created:
        parent_fd = openat2(root_fd, known, DIRECTORY)
        try:
            os.chown(name, uid, gid, dir_fd=parent_fd, follow_symlinks=False)
        finally:
            os.close(parent_fd)
    return directory_fd


def make_file(root_fd: int, path: str, mode: int = 0o644) -> int:
    """Opens the file `path` of the tree, making it (empty) and its parents when missing; returns an O_PATH descriptor.

    What exists is opened as it is, whatever its type: the caller looks.
    """
    for _ in range(_LINK_LIMIT):
        try:
            return openat2(root_fd, path, os.O_PATH)
        except FileNotFoundError:
            pass
        parent, _, name = path.rstrip("/").rpartition("/")
        parent_fd = make_directories(root_fd, parent or "/")
        try:
            if name in ("", ".", ".."):
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            try:
                return _create(parent_fd, name, mode)
            except FileExistsError:
                path = _past_link(parent_fd, name, parent)
        finally:
            os.close(parent_fd)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)


def split_parent(root_fd: int, path: str) -> tuple[int, str]:
    """Opens the directory that holds `path` and returns (its O_PATH descriptor, the last name), for *at calls."""
    parent, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL), path)
    return openat2(root_fd, parent or "/", DIRECTORY), name


def _create(parent_fd: int, name: str, mode: int) -> int:
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(name, flags, mode, dir_fd=parent_fd)
    try:
        return openat2(parent_fd, name, os.O_PATH | os.O_NOFOLLOW, resolve=PLAIN)
    finally:
        os.close(fd)


def _past_link(parent_fd: int, name: str, parent: str) -> str:
    """The path, from the root, that a dangling link `name` of the directory `parent` stands for."""
    target = os.readlink(name, dir_fd=parent_fd)
    return target if target.startswith("/") else f"{parent}/{target}"


def _walk(root_fd: int, path: str, mode: int) -> tuple[int, list[tuple[str, str]]]:
    """Goes down one name at a time; returns the last directory and what was made as (known parent path, name)."""
    pending = [name for name in reversed(path.split("/")) if name not in ("", ".")]
    known = "."
    created: list[tuple[str, str]] = []
    links = 0
    directory_fd = openat2(root_fd, ".", DIRECTORY)
    try:
        while pending:
            name = pending.pop()
            following = f"{known}/{name}"
            child_fd = _descend(root_fd, directory_fd, known, name, mode, created)
            if child_fd < 0:
                links += 1
                if links > _LINK_LIMIT:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
                target = os.readlink(name, dir_fd=directory_fd)
                pending.extend(part for part in reversed(target.split("/")) if part not in ("", "."))
                if not target.startswith("/"):
                    continue
                following, child_fd = ".", openat2(root_fd, ".", DIRECTORY)
            os.close(directory_fd)
            directory_fd, known = child_fd, following
    except OSError:
        os.close(directory_fd)
        raise
    return directory_fd, created


def _descend(root_fd: int, directory_fd: int, known: str, name: str, mode: int, created: list[tuple[str, str]]) -> int:
    """The directory `name` in `known`, made if missing; -1 when it is a link that leads nowhere yet."""
    try:
        return openat2(root_fd, f"{known}/{name}", DIRECTORY)
    except FileNotFoundError:
        pass
    try:
        os.mkdir(name, mode, dir_fd=directory_fd)
    except FileExistsError:
        return -1
    created.append((known, name))
    return openat2(directory_fd, name, DIRECTORY | os.O_NOFOLLOW, resolve=PLAIN)
