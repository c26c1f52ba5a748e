# SPDX-License-Identifier: Apache-2.0
"""Unpacks a layer's tar into a directory, and nowhere else.

Every name is walked from the directory's descriptor with openat2 (in-root, no magic links): an entry, a link target
or a whiteout can climb or bend as it likes and ends inside. The last component is never followed. Names that climb out
by their text are refused, as are a root that is no directory and a 0:0 character device (a disguised whiteout);
overlay's own xattrs are dropped. Devices, setuid bits and file capabilities are kept: the runtime's sandbox deals with
them. See security.md §2.2; the corpus is tests/snapshots/test_hostile_layers.py.

Cost per regular file: openat, write, utimensat, close; fchown and fchmod only where needed.
Called by the snapshot drivers' `apply` and by archive uploads into containers.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.kernel import paths
from holdfast.snapshots import durability, removal, whiteouts
from holdfast.snapshots.driver import Applied
from holdfast.snapshots.readahead import ReadAhead
from holdfast.snapshots.tar import Entry, Kind, Limits, Reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.snapshots.driver import Readable

_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_HELD_DIRECTORIES = 200
_SET_ID_BITS = stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX
_DROPPED_XATTRS = ("trusted.overlay.", "user.overlay.")
_MAJOR_LIMIT, _MINOR_LIMIT = 1 << 12, 1 << 20
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
"""What opening a directory says when a later entry took its place, or a place above it."""
_CALLERS_FAULT = frozenset(
    {
        errno.ENAMETOOLONG,
        errno.ELOOP,
        errno.ENOTDIR,
        errno.EISDIR,
        errno.EXDEV,
        errno.EINVAL,
        errno.ENOENT,
        errno.EEXIST,
        errno.EPERM,
        errno.EMLINK,
        errno.ERANGE,
        errno.E2BIG,
    }
)


def unpack(
    root: str,
    tar: Readable,
    style: whiteouts.Style,
    *,
    limits: Limits | None = None,
    inherit: Callable[[bytes], os.stat_result | None] | None = None,
) -> Applied:
    """Unpacks the tar below `root` and reads it to its end; what was unpacked before an error stays.

    `inherit` gives the attributes of a directory that the layer uses but does not bring.
    """
    with ReadAhead(tar) as stream:
        root_fd = os.open(root, _DIRECTORY | os.O_NOFOLLOW)
        extractor = Extractor(root_fd, Reader(stream, limits), style, inherit)
        try:
            size = extractor.run()
        finally:
            extractor.close()
        return Applied(stream.digest(), size, extractor.entries)


class ClimbsOut(InvalidArgument):
    """A name in an archive leads out of the root by its text."""


def clean(name: bytes) -> list[bytes]:
    """The components of a name from an archive; ClimbsOut when it leads out of the root."""
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part != b"..":
            parts.append(part)
        elif parts:
            parts.pop()
        else:
            raise ClimbsOut(f"archive member {name[:160]!r} leads out of the root")
    return parts


class Extractor:
    """The unpacking of one archive below `root_fd`, which it takes over; holds descriptors, so `close` it."""

    def __init__(
        self,
        root_fd: int,
        reader: Reader,
        style: whiteouts.Style,
        inherit: Callable[[bytes], os.stat_result | None] | None = None,
    ) -> None:
        self.entries = 0
        self._reader = reader
        self._style = style
        self._inherit = inherit
        self._root_fd = root_fd
        self._directories: dict[bytes, int] = {}
        self._times: dict[bytes, int] = {}
        self._uid, self._gid = os.geteuid(), os.getegid()
        self._masked = umask() | _SET_ID_BITS
        self._makers: dict[bytes, Callable[[Entry, int, bytes, bytes], None]] = {
            Kind.FILE: self._file,
            Kind.DIRECTORY: self._directory,
            Kind.SYMLINK: self._symlink,
            Kind.HARD_LINK: self._hard_link,
            Kind.CHARACTER: self._node,
            Kind.BLOCK: self._node,
            Kind.FIFO: self._node,
        }

    def run(self) -> int:
        """Unpacks everything; returns the sum of the sizes of files and of symbolic links' targets, as Docker counts."""
        size = 0
        entry: Entry | None = None
        try:
            while (entry := self._reader.next()) is not None:
                size += len(entry.link) if entry.kind == Kind.SYMLINK else entry.size
                self.entries += 1
                self._member(entry)
            self._set_directory_times()
        except OSError as error:
            raise _explained(error, entry) from error
        self._reader.drain()
        return size

    def close(self) -> None:
        """Closes all descriptors."""
        self._forget()
        os.close(self._root_fd)

    def _member(self, entry: Entry) -> None:
        parts = clean(entry.name)
        if not parts:
            if entry.kind != Kind.DIRECTORY:
                raise InvalidArgument("layer's root is not a directory")
            self._dress(entry, self._root_fd)
            self._times[b""] = entry.mtime_nanos
            return
        if parts[-1].startswith(whiteouts.PREFIX):
            parent = b"/".join(parts[:-1])
            self._whiteout(self._open_directory(parent), parts[-1], parent)
            return
        self._place(entry, parts)

    def _place(self, entry: Entry, parts: list[bytes]) -> None:
        base, path = parts[-1], b"/".join(parts)
        parent_fd = self._open_directory(b"/".join(parts[:-1]))
        self._makers[entry.kind](entry, parent_fd, base, path)
        self._style.created(path)

    def _whiteout(self, parent_fd: int, base: bytes, parent: bytes) -> None:
        if base == whiteouts.OPAQUE:
            self._style.make_opaque(parent_fd, parent)
        elif (name := whiteouts.target_of(base)) is not None:
            self._style.delete(parent_fd, name, parent + b"/" + name if parent else name)
        self._forget()

    # directories on the way

    def _walk(self, path: bytes, flags: int) -> int:
        """Opens a path of the tree."""
        return paths.openat2(self._root_fd, path or b".", flags)

    def _open_directory(self, path: bytes) -> int:
        """A descriptor of a directory of the tree, from the cache, made with its parents when it is missing."""
        if not path:
            return self._root_fd
        fd = self._directories.get(path)
        if fd is not None:
            return fd
        try:
            fd = self._walk(path, _DIRECTORY)
        except FileNotFoundError:
            parent, _, base = path.rpartition(b"/")
            fd = self._make_implied(self._open_directory(parent), base, path)
        return self._hold(path, fd)

    def _make_implied(self, parent_fd: int, base: bytes, path: bytes) -> int:
        os.mkdir(base, 0o755, dir_fd=parent_fd)
        fd = os.open(base, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
        known = self._inherit(path) if self._inherit else None
        os.fchmod(fd, stat.S_IMODE(known.st_mode) if known else 0o755)
        if known:
            os.fchown(fd, known.st_uid, known.st_gid)
        self._style.created(path)
        return fd

    def _hold(self, path: bytes, fd: int) -> int:
        if len(self._directories) >= _HELD_DIRECTORIES:
            self._forget()
        self._directories[path] = fd
        return fd

    def _forget(self) -> None:
        """Drops cached descriptors: too many, or a path may now lead elsewhere."""
        for fd in self._directories.values():
            os.close(fd)
        self._directories.clear()

    def _make_room(self, parent_fd: int, name: bytes) -> os.stat_result:
        """Removes what stands where an entry goes; returns what it was."""
        info = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
        held_fd = os.dup(parent_fd)
        try:
            removal.remove(name, dir_fd=held_fd)
        finally:
            os.close(held_fd)
        return info

    # the kinds of entries

    def _file(self, entry: Entry, parent_fd: int, name: bytes, path: bytes) -> None:
        mode = entry.mode
        try:
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=parent_fd)
        except FileExistsError:
            parent_fd = self._cleared(parent_fd, name, path)
            fd = os.open(name, _CREATE, mode & 0o777, dir_fd=parent_fd)
        try:
            content = self._reader.whole()
            if content is not None:
                _write(fd, content)
            else:
                for chunk in self._reader.chunks():
                    _write(fd, chunk)
            if entry.uid != self._uid or entry.gid != self._gid:
                os.fchown(fd, entry.uid, entry.gid)
            if mode & self._masked:
                os.fchmod(fd, mode)
            if entry.xattrs:
                _set_xattrs(entry, fd)
            os.utime(fd, ns=(entry.mtime_nanos, entry.mtime_nanos))
        finally:
            os.close(fd)

    def _cleared(self, parent_fd: int, name: bytes, path: bytes) -> int:
        """Makes room for an entry; what was cached of or through the old thing goes, only this parent stays open."""
        if not stat.S_ISREG(self._make_room(parent_fd, name).st_mode):
            self._times.pop(path, None)
            keep = next((p for p, fd in self._directories.items() if fd == parent_fd), None)
            if keep is not None:
                del self._directories[keep]
            self._forget()
            if keep is not None:
                self._directories[keep] = parent_fd
        return parent_fd

    def _directory(self, entry: Entry, parent_fd: int, name: bytes, path: bytes) -> None:
        replaced: os.stat_result | None = None
        try:
            os.mkdir(name, 0o700, dir_fd=parent_fd)
        except FileExistsError:
            if not stat.S_ISDIR(os.stat(name, dir_fd=parent_fd, follow_symlinks=False).st_mode):
                replaced = self._make_room(parent_fd, name)
                os.mkdir(name, 0o700, dir_fd=parent_fd)
        fd = self._directories.get(path)
        if fd is None or replaced is not None:
            fd = os.open(name, _DIRECTORY | os.O_NOFOLLOW, dir_fd=parent_fd)
            if replaced is not None:
                self._forget()
                self._style.replaced(replaced, fd)
            self._hold(path, fd)
        self._dress(entry, fd)
        self._times[path] = entry.mtime_nanos

    def _symlink(self, entry: Entry, parent_fd: int, name: bytes, path: bytes) -> None:
        try:
            os.symlink(entry.link, name, dir_fd=parent_fd)
        except FileExistsError:
            parent_fd = self._cleared(parent_fd, name, path)
            os.symlink(entry.link, name, dir_fd=parent_fd)
        self._dress_at(entry, parent_fd, name)

    def _hard_link(self, entry: Entry, parent_fd: int, name: bytes, path: bytes) -> None:
        target = clean(entry.link)
        if not target:
            raise InvalidArgument(f"hard link {entry.name!r} leads to the root")
        if b"/".join(target) == path:
            return
        source_fd = self._open_existing(b"/".join(target[:-1]))
        try:
            try:
                os.link(target[-1], name, src_dir_fd=source_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
            except FileExistsError:
                parent_fd = self._cleared(parent_fd, name, path)
                os.link(target[-1], name, src_dir_fd=source_fd, dst_dir_fd=parent_fd, follow_symlinks=False)
        finally:
            os.close(source_fd)

    def _open_existing(self, path: bytes) -> int:
        return self._walk(path, paths.DIRECTORY)

    def _node(self, entry: Entry, parent_fd: int, name: bytes, path: bytes) -> None:
        device = 0
        if entry.kind != Kind.FIFO:
            if not (0 <= entry.major < _MAJOR_LIMIT and 0 <= entry.minor < _MINOR_LIMIT):
                raise InvalidArgument(f"device {entry.name!r} has an impossible number")
            device = os.makedev(entry.major, entry.minor)
            if entry.kind == Kind.CHARACTER and device == 0:
                raise InvalidArgument(f"device {entry.name!r} is a disguised whiteout (character device 0:0)")
        kind = {Kind.FIFO: stat.S_IFIFO, Kind.BLOCK: stat.S_IFBLK, Kind.CHARACTER: stat.S_IFCHR}[entry.kind]
        try:
            os.mknod(name, kind | 0o600, device, dir_fd=parent_fd)
        except FileExistsError:
            parent_fd = self._cleared(parent_fd, name, path)
            os.mknod(name, kind | 0o600, device, dir_fd=parent_fd)
        self._dress_at(entry, parent_fd, name)

    # attributes

    def _dress(self, entry: Entry, fd: int) -> None:
        """Owner, mode and xattrs of an open file or directory; chown first, since it clears set-id bits."""
        os.fchown(fd, entry.uid, entry.gid)
        os.fchmod(fd, entry.mode)
        if entry.xattrs:
            _set_xattrs(entry, fd)

    def _dress_at(self, entry: Entry, parent_fd: int, name: bytes) -> None:
        """The same for what cannot be opened: links and nodes, by a name that was made a moment ago."""
        if entry.uid != self._uid or entry.gid != self._gid:
            os.chown(name, entry.uid, entry.gid, dir_fd=parent_fd, follow_symlinks=False)
        if entry.kind != Kind.SYMLINK:
            _change_mode(parent_fd, name, entry.mode)
        if entry.xattrs:
            _set_xattrs(entry, b"/proc/self/fd/%d/%s" % (parent_fd, name))
        os.utime(name, ns=(entry.mtime_nanos, entry.mtime_nanos), dir_fd=parent_fd, follow_symlinks=False)

    def _set_directory_times(self) -> None:
        """At the very end, since every file made in a directory changes its time."""
        self._forget()
        for path, nanos in self._times.items():
            try:
                fd = self._walk(path, _DIRECTORY | os.O_NOFOLLOW)
            except OSError as error:
                if error.errno not in _REPLACED:
                    raise
                continue
            try:
                os.utime(fd, ns=(nanos, nanos))
            finally:
                os.close(fd)


def _write(fd: int, data: memoryview) -> None:
    written = os.write(fd, data) if data else 0
    while written < len(data):
        written += os.write(fd, data[written:])


def _change_mode(parent_fd: int, name: bytes, mode: int) -> None:
    """Of a node, never of what a link leads to that a running container may have put in its place."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    try:
        os.chmod(f"/proc/self/fd/{fd}", mode)
    finally:
        os.close(fd)


def _set_xattrs(entry: Entry, target: int | bytes) -> None:
    """Sets what the file system takes; overlay's own names never, foreign security labels only where allowed."""
    for name, value in (entry.xattrs or {}).items():
        if name.startswith(_DROPPED_XATTRS):
            continue
        try:
            if isinstance(target, int):
                os.setxattr(target, name, value)
            else:
                os.setxattr(target, name, value, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (errno.ENOTSUP, errno.EPERM):
                raise


def umask() -> int:
    """This process's umask, read without changing it: other threads create files, too."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o777


def _explained(error: OSError, entry: Entry | None) -> HoldfastError:
    label = f"archive member {entry.name[:160]!r}" if entry is not None else "layer"
    if error.errno in _CALLERS_FAULT:
        return InvalidArgument(f"cannot unpack {label}: {os.strerror(error.errno or 0)}")
    return durability.explained(error, f"unpacking {label}")
