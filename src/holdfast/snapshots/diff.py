# SPDX-License-Identifier: Apache-2.0
"""Writes directories as tars: a layer from what a container changed, or a whole file system from its layers.

`write_layer` turns overlayfs's marks in an upper directory into `.wh.` entries; `write_changes` compares two whole
trees (vfs) and does the same. `write_merged` writes what the layers show together. Names come in sorted order, so
equal trees give equal bytes. Trees are walked by descriptors, links are never followed; a file that changes while it
is read is padded or cut to the size in its header. Called by the jobs commit and export, and by save.
Source: OCI image-spec v1.1 §layer; Linux Documentation/filesystems/overlayfs.rst.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING, NamedTuple

from holdfast.snapshots import walking, whiteouts
from holdfast.snapshots.tar import Entry, Kind, Writer

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence

    from holdfast.snapshots.tar.writer import Writable
    from holdfast.snapshots.walking import Walk

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_CHUNK_BYTES = 1 << 20
_HAS_CHANGED = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EACCES})
_KINDS = {
    stat.S_IFREG: Kind.FILE,
    stat.S_IFDIR: Kind.DIRECTORY,
    stat.S_IFLNK: Kind.SYMLINK,
    stat.S_IFCHR: Kind.CHARACTER,
    stat.S_IFBLK: Kind.BLOCK,
    stat.S_IFIFO: Kind.FIFO,
}
_DROPPED_XATTRS = ("trusted.overlay.", "user.overlay.", "security.selinux")


class Found(NamedTuple):
    """A name in a directory, the descriptor of the directory, and what it is."""

    name: bytes
    directory_fd: int
    info: os.stat_result


def write_layer(upper: str, target: Writable, hidden: Container[bytes] = ()) -> None:
    """The upper directory of an overlay as a layer tar, without the paths in `hidden` (and what is below them)."""
    _write_tree([upper], target, is_layer=True, hidden=hidden)


def write_merged(layers: Sequence[str], target: Writable) -> None:
    """What the directories (the top one first) show together, as overlayfs would merge them, without whiteouts."""
    _write_tree(layers, target, is_layer=False)


def write_place(directory_fd: int, name: bytes, title: bytes, target: Writable) -> None:
    """One file, or (name `.`) the directory itself with all below it, under the name `title`; for `docker cp`.

    What cannot be opened any more when its turn comes is left out: the tree may be a running container's.
    """
    writer = _TreeWriter(target, is_layer=False)
    found = Found(name, directory_fd, os.stat(name, dir_fd=directory_fd, follow_symlinks=False))
    if stat.S_ISDIR(found.info.st_mode):
        writer.one(found, title.rstrip(b"/"))
        writer.directory([directory_fd], title.rstrip(b"/") + b"/")
    else:
        writer.one(found, title)
    writer.close()


def write_tree(directory_fd: int, target: Writable) -> None:
    """All below a directory, without an entry for the directory itself; for `docker export`."""
    writer = _TreeWriter(target, is_layer=False)
    writer.directory([directory_fd], b"")
    writer.close()


def write_changes(lower: str, current: str, target: Writable) -> None:
    """What turns the tree `lower` into the tree `current`, as a layer tar; compares metadata, size and mtime."""
    writer = _TreeWriter(target, is_layer=True)
    lower_fd, current_fd = os.open(lower, _DIRECTORY), os.open(current, _DIRECTORY)
    try:
        walking.run(_compare(writer, lower_fd, current_fd, b""))
    finally:
        os.close(lower_fd)
        os.close(current_fd)
    writer.close()


def _write_tree(layers: Sequence[str], target: Writable, *, is_layer: bool, hidden: Container[bytes] = ()) -> None:
    writer = _TreeWriter(target, is_layer=is_layer, hidden=hidden)
    fds = [os.open(layer, _DIRECTORY) for layer in layers]
    try:
        writer.directory(fds, b"")
    finally:
        for fd in fds:
            os.close(fd)
    writer.close()


def _compare(writer: _TreeWriter, lower_fd: int, current_fd: int, path: bytes) -> Walk:
    """Writes the differences between two directories of the same path."""
    before, now = listing(lower_fd), listing(current_fd)
    for name in sorted(before.keys() | now.keys()):
        own = path + name
        if name not in now:
            writer.whiteout(path, name)
            continue
        old, new = before.get(name), now[name]
        is_same = old is not None and _looks_same(old.info, new.info)
        if not stat.S_ISDIR(new.info.st_mode):
            if not is_same:
                writer.one(new, own)
            continue
        if old is None or not stat.S_ISDIR(old.info.st_mode):
            writer.one(new, own)
            with_fd = os.open(name, _DIRECTORY, dir_fd=current_fd)
            try:
                yield writer.below([with_fd], own + b"/")
            finally:
                os.close(with_fd)
            continue
        if not is_same:
            writer.one(new, own)
        else:
            writer.expect(new, own)
        below_fd, with_fd = os.open(name, _DIRECTORY, dir_fd=lower_fd), os.open(name, _DIRECTORY, dir_fd=current_fd)
        try:
            yield _compare(writer, below_fd, with_fd, own + b"/")
        finally:
            os.close(below_fd)
            os.close(with_fd)
        writer.expect_no_more(own)


def _looks_same(old: os.stat_result, new: os.stat_result) -> bool:
    keys = ("st_mode", "st_uid", "st_gid", "st_rdev", "st_mtime_ns")
    if stat.S_ISDIR(old.st_mode):
        keys = keys[:4]
    return all(getattr(old, key) == getattr(new, key) for key in keys) and (
        stat.S_ISDIR(old.st_mode) or old.st_size == new.st_size
    )


def listing(fd: int) -> dict[bytes, Found]:
    """What a directory holds; what vanishes meanwhile is left out."""
    found: dict[bytes, Found] = {}
    for text in os.listdir(fd):
        name = os.fsencode(text)
        try:
            found[name] = Found(name, fd, os.stat(name, dir_fd=fd, follow_symlinks=False))
        except FileNotFoundError:
            continue
    return found


class _TreeWriter:
    """Entries in walking order, hard links by inode."""

    def __init__(self, target: Writable, *, is_layer: bool, hidden: Container[bytes] = ()) -> None:
        self._tar = Writer(target)
        self._hidden = hidden
        self._is_layer = is_layer
        self._links: dict[tuple[int, int], bytes] = {}
        self._expected: list[tuple[Found, bytes]] = []

    def expect(self, found: Found, path: bytes) -> None:
        """A directory that is written only if something below it is, so that no layer implies its parents."""
        self._expected.append((found, path))

    def expect_no_more(self, path: bytes) -> None:
        """Forgets the directory if nothing below it was written."""
        if self._expected and self._expected[-1][1] == path:
            self._expected.pop()

    def _write_expected(self) -> None:
        expected, self._expected = self._expected, []
        for found, path in expected:
            self.one(found, path)

    def close(self) -> None:
        self._tar.close()

    def whiteout(self, directory: bytes, name: bytes) -> None:
        self._write_expected()
        self._tar.add(Entry(directory + whiteouts.PREFIX + name, mode=0))

    def directory(self, fds: list[int], path: bytes) -> None:
        """What the directories of the same path in several layers (the top one first) hold together, and all below."""
        walking.run(self.below(fds, path))

    def below(self, fds: list[int], path: bytes) -> Walk:
        """As `directory`, as a part of a walk; the descriptors stay the caller's."""
        if self._is_layer and is_opaque(fds[0]):
            self._tar.add(Entry(path + whiteouts.OPAQUE, mode=0))
        merged: dict[bytes, list[Found]] = {}
        for fd in fds:
            for name, found in listing(fd).items():
                merged.setdefault(name, []).append(found)
            if is_opaque(fd):
                break
        for name in sorted(merged):
            yield from self._name(merged[name], path)

    def _name(self, found: list[Found], path: bytes) -> Walk:
        top = found[0]
        if whiteouts.is_overlay_whiteout(top.info):
            if self._is_layer:
                self.whiteout(path, top.name)
            return
        own = path + top.name
        if own in self._hidden:
            return
        self.one(top, own)
        if not stat.S_ISDIR(top.info.st_mode):
            return
        fds = list(_open_all(_stack(found)))
        try:
            if not fds:
                return
            yield self.below(fds, own + b"/")
        finally:
            for fd in fds:
                os.close(fd)

    def one(self, found: Found, path: bytes) -> None:
        """One entry; sockets have no place in an archive."""
        self._write_expected()
        info = found.info
        kind = _KINDS.get(stat.S_IFMT(info.st_mode))
        if kind is None:
            return
        entry = Entry(
            path + b"/" if kind == Kind.DIRECTORY else path,
            kind,
            mode=stat.S_IMODE(info.st_mode),
            uid=info.st_uid,
            gid=info.st_gid,
            mtime_nanos=info.st_mtime_ns,
        )
        if kind == Kind.SYMLINK:
            try:
                entry.link = os.readlink(found.name, dir_fd=found.directory_fd)
            except OSError:  # gone, or no link any more
                return
        elif kind in (Kind.CHARACTER, Kind.BLOCK):
            entry.major, entry.minor = os.major(info.st_rdev), os.minor(info.st_rdev)
        if kind != Kind.DIRECTORY and info.st_nlink > 1:
            first = self._links.setdefault((info.st_dev, info.st_ino), path)
            if first != path:
                entry.kind, entry.link = Kind.HARD_LINK, first
                self._tar.add(entry)
                return
        if kind not in (Kind.FILE, Kind.DIRECTORY):
            self._tar.add(entry)
            return
        fd = _open_same(found, _FILE if kind == Kind.FILE else _DIRECTORY)
        if fd is None:
            return
        try:
            entry.xattrs = _xattrs(fd)
            entry.size = info.st_size if kind == Kind.FILE else 0
            self._tar.add(entry, _content(fd, entry.size))
        finally:
            os.close(fd)


def _open_same(found: Found, flags: int) -> int | None:
    """A descriptor of what was found; None when it has gone or something else is there by now."""
    try:
        fd = os.open(found.name, flags, dir_fd=found.directory_fd)
    except OSError as error:
        if error.errno in _HAS_CHANGED:
            return None
        raise
    if stat.S_IFMT(os.fstat(fd).st_mode) == stat.S_IFMT(found.info.st_mode):
        return fd
    os.close(fd)
    return None


def _open_all(found: Iterable[Found]) -> Iterator[int]:
    for each in found:
        fd = _open_same(each, _DIRECTORY)
        if fd is not None:
            yield fd


def _stack(found: list[Found]) -> Iterator[Found]:
    """The directories of one name that show through each other: up to the first that is none."""
    for each in found:
        if not stat.S_ISDIR(each.info.st_mode):
            return
        yield each


def is_opaque(fd: int) -> bool:
    """Tells whether an upper layer's directory hides the lower ones."""
    try:
        return os.getxattr(fd, whiteouts.OPAQUE_XATTR) == b"y"
    except OSError:
        return False


def _xattrs(fd: int) -> dict[str, bytes] | None:
    kept = {name: os.getxattr(fd, name) for name in os.listxattr(fd) if not name.startswith(_DROPPED_XATTRS)}
    return kept or None


def _content(fd: int, size: int) -> Iterator[bytes]:
    """Exactly `size` bytes: a file that has shrunk meanwhile is filled with zeros."""
    while size > 0:
        chunk = os.read(fd, min(size, _CHUNK_BYTES)) or bytes(min(size, _CHUNK_BYTES))
        size -= len(chunk)
        yield chunk
