# SPDX-License-Identifier: Apache-2.0
"""A layer's tar as an EROFS image: the rules of `snapshots.apply`, carried out on a tree in memory.

File contents go straight into the image; what stays in memory is the tree, about 300 bytes a name. Deletions become
what overlayfs understands. Nothing is ever looked up outside the tree, so no name can lead anywhere else: a name that
climbs out by its text is refused, a link on the way is followed inside the layer only.
Called by the erofs driver. Source: OCI image-spec §layer; security.md §2.2.
"""

from __future__ import annotations

import stat
import time
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import InvalidArgument
from holdfast.snapshots import whiteouts
from holdfast.snapshots.apply import clean
from holdfast.snapshots.driver import Applied
from holdfast.snapshots.erofs import layout
from holdfast.snapshots.erofs.image import Directory, ImageWriter
from holdfast.snapshots.erofs.layout import Inode
from holdfast.snapshots.readahead import ReadAhead
from holdfast.snapshots.tar import Entry, Kind, Limits, Reader

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from holdfast.snapshots.driver import Readable

_DROPPED_XATTRS = ("trusted.overlay.", "user.overlay.")
_FILE_XATTRS = ("user.",)
_MAJOR_LIMIT, _MINOR_LIMIT = 1 << 12, 1 << 20
_NAME_BYTES = 255
_MOST_LINKS = 40
_LEAVES = frozenset((Kind.FILE, Kind.SYMLINK))
_NO_NAMES = (b"", b".", b"..")
_NODE_TYPES = {Kind.FIFO: stat.S_IFIFO, Kind.BLOCK: stat.S_IFBLK, Kind.CHARACTER: stat.S_IFCHR}


class Layer(NamedTuple):
    """What `write_layer` wrote: what the tar was, and the mode of its root."""

    applied: Applied
    root_mode: int


class _Node:
    """A name's thing. A file, link or node is in the image already; a directory is here until the end."""

    __slots__ = ("children", "gid", "links", "mode", "mtime_nanos", "number", "target", "uid", "xattrs")

    def __init__(self, mode: int, uid: int = 0, gid: int = 0, mtime_nanos: int = 0) -> None:
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.mtime_nanos = mtime_nanos
        self.number = 0
        self.links = 1
        self.target = b""
        self.children: dict[bytes, _Node] | None = None
        self.xattrs: dict[str, bytes] = {}

    @property
    def is_directory(self) -> bool:
        return self.children is not None

    @property
    def is_whiteout(self) -> bool:
        return stat.S_ISCHR(self.mode) and self.number == 0


def write_layer(
    fd: int,
    tar: Readable,
    *,
    root_mode: int,
    limits: Limits | None = None,
    inherit: Callable[[bytes], os.stat_result | None] | None = None,
) -> Layer:
    """Writes the image of an uncompressed layer tar, all of which is read; InvalidArgument, Exhausted, OSError."""
    with ReadAhead(tar) as stream:
        reader = Reader(stream, limits)
        builder = _Builder(fd, reader, root_mode, inherit)
        size = builder.run()
        reader.drain()
        return Layer(Applied(stream.digest(), size, builder.entries), stat.S_IMODE(builder.root.mode))


class _Builder:
    """The work on one layer."""

    def __init__(
        self, fd: int, reader: Reader, root_mode: int, inherit: Callable[[bytes], os.stat_result | None] | None
    ) -> None:
        self._image = ImageWriter(fd)
        self._reader = reader
        self._inherit = inherit
        self._now = time.time_ns()
        self._whiteout = self._deletions = 0
        self._linked: list[_Node] = []
        self._directories: dict[bytes, _Node] = {}
        self.entries = 0
        self.root = self._new_directory(root_mode)

    def run(self) -> int:
        """Reads all entries and finishes the image; returns the size as Docker counts it."""
        size = 0
        while (entry := self._reader.next()) is not None:
            size += len(entry.link) if entry.kind == Kind.SYMLINK else entry.size
            self.entries += 1
            self._member(entry)
        if self._deletions:  # one inode for all deletions
            self._whiteout = self._image.add(Inode(stat.S_IFCHR, 0, 0, self._now, links=self._deletions))
        for node in self._linked:
            self._image.set_links(node.number, node.links)
        self._finish()
        return size

    # entries

    def _member(self, entry: Entry) -> None:
        prefix, _, base = entry.name.rpartition(b"/")
        parent = self._directories.get(prefix)
        if (
            parent is not None
            and entry.kind in _LEAVES
            and base not in _NO_NAMES
            and len(base) <= _NAME_BYTES
            and not base.startswith(whiteouts.PREFIX)
        ):
            self._put(parent, base, self._make(entry))
            return
        parts = clean(entry.name)
        if not parts:
            if entry.kind != Kind.DIRECTORY:
                raise InvalidArgument("layer's root is not a directory")
            self._dress(self.root, entry)
            return
        base = parts[-1]
        if base.startswith(whiteouts.PREFIX):
            self._delete(self._directory(parts[:-1]), base)
            return
        if len(base) > _NAME_BYTES:
            raise InvalidArgument(f"cannot unpack archive member {entry.name[:160]!r}: File name too long")
        parent = self._directory(parts[:-1])
        if entry.kind in _LEAVES:
            self._directories[prefix] = parent
        if entry.kind == Kind.DIRECTORY:
            self._place_directory(parent, base, entry)
        elif entry.kind == Kind.HARD_LINK:
            self._place_link(parent, base, entry, parts)
        else:
            self._put(parent, base, self._make(entry))

    def _place_directory(self, parent: _Node, base: bytes, entry: Entry) -> None:
        known = _children(parent).get(base)
        if known is None or not known.is_directory:
            fresh = self._new_directory(entry.mode)
            if known is not None and known.is_whiteout:
                fresh.xattrs[whiteouts.OPAQUE_XATTR] = b"y"
            self._put(parent, base, fresh)
            known = fresh
        self._dress(known, entry)

    def _place_link(self, parent: _Node, base: bytes, entry: Entry, parts: list[bytes]) -> None:
        target = clean(entry.link)
        if not target:
            raise InvalidArgument(f"hard link {entry.name!r} leads to the root")
        if target == parts:
            return
        node = self._find_name(target)
        if node is not None and node.is_directory:
            raise InvalidArgument(f"cannot unpack archive member {entry.name[:160]!r}: Operation not permitted")
        known = _children(parent).get(base)
        if known is not None and known is node:
            return
        if known is not None and known.is_directory:  # it goes first, perhaps with what the link leads to
            self._gone(_children(parent).pop(base))
            node = self._find_name(target)
        if node is None:
            raise InvalidArgument(f"cannot unpack archive member {entry.name[:160]!r}: No such file or directory")
        node.links += 1
        if node.links == 2:
            self._linked.append(node)
        self._put(parent, base, node)

    def _make(self, entry: Entry) -> _Node:
        """Writes a file, symbolic link or node into the image."""
        packed = _packed_xattrs(entry) if entry.xattrs else b""
        if entry.kind == Kind.FILE:
            node = _Node(stat.S_IFREG | entry.mode & 0o7777)
            whole = self._reader.whole()
            if whole is not None and not packed:
                node.number = self._image.add_file(node.mode, entry.uid, entry.gid, entry.mtime_nanos, whole)
                return node
            inode = Inode(node.mode, entry.uid, entry.gid, entry.mtime_nanos, entry.size)
            node.number = self._image.add(inode, packed, self._reader.chunks() if whole is None else (whole,))
            return node
        if entry.kind == Kind.SYMLINK:
            if not entry.link:
                raise InvalidArgument(f"cannot unpack archive member {entry.name[:160]!r}: No such file or directory")
            node = _Node(stat.S_IFLNK | 0o777)
            node.target = entry.link
            inode = Inode(node.mode, entry.uid, entry.gid, entry.mtime_nanos, len(entry.link))
            node.number = self._image.add(inode, packed, (entry.link,))
            return node
        node = _Node(_NODE_TYPES[entry.kind] | entry.mode & 0o7777)
        place = self._device(entry) if entry.kind != Kind.FIFO else 0
        inode = Inode(node.mode, entry.uid, entry.gid, entry.mtime_nanos, place=place)
        node.number = self._image.add(inode, packed)
        return node

    def _device(self, entry: Entry) -> int:
        if not (0 <= entry.major < _MAJOR_LIMIT and 0 <= entry.minor < _MINOR_LIMIT):
            raise InvalidArgument(f"device {entry.name!r} has an impossible number")
        if entry.kind == Kind.CHARACTER and not entry.major and not entry.minor:
            raise InvalidArgument(f"device {entry.name!r} is a disguised whiteout (character device 0:0)")
        return layout.device_number(entry.major, entry.minor)

    def _delete(self, parent: _Node, base: bytes) -> None:
        """Carries a whiteout out: on what lower layers have, never on what this one brings."""
        if base == whiteouts.OPAQUE:
            parent.xattrs[whiteouts.OPAQUE_XATTR] = b"y"
            return
        name = whiteouts.target_of(base)
        if name is None:
            return
        known = _children(parent).get(name)
        if known is None:
            _children(parent)[name] = _Node(stat.S_IFCHR, mtime_nanos=self._now)
            self._deletions += 1
        elif known.is_directory:
            known.xattrs[whiteouts.OPAQUE_XATTR] = b"y"

    # the tree

    def _new_directory(self, mode: int) -> _Node:
        node = _Node(stat.S_IFDIR | mode & 0o7777, mtime_nanos=self._now)
        node.children = {}
        return node

    def _put(self, parent: _Node, base: bytes, node: _Node) -> None:
        children = _children(parent)
        known = children.get(base)
        if known is not None:
            self._gone(known)
        children[base] = node

    def _gone(self, node: _Node) -> None:
        """A thing loses a name: paths through it lead elsewhere from now on."""
        _unlink(node)
        if node.is_directory or node.target:
            self._directories.clear()

    def _dress(self, node: _Node, entry: Entry) -> None:
        node.mode = stat.S_IFDIR | entry.mode & 0o7777
        node.uid, node.gid, node.mtime_nanos = entry.uid, entry.gid, entry.mtime_nanos
        for name, value in (entry.xattrs or {}).items():
            if not name.startswith(_DROPPED_XATTRS):
                node.xattrs[name] = value

    def _directory(self, parts: list[bytes]) -> _Node:
        """The directory of that path, made with its parents where it is missing."""
        node = self.root
        for depth, part in enumerate(parts):
            child = _children(node).get(part)
            if child is not None and child.is_directory:
                node = child
                continue
            if child is not None and child.target:
                found = self._find(parts[: depth + 1])
                if found is not None and found.is_directory:
                    node = found
                    continue
            if child is not None:
                raise InvalidArgument(f"cannot unpack below {b'/'.join(parts)[:160]!r}: Not a directory")
            fresh = self._implied(parts[: depth + 1])
            self._put(node, part, fresh)
            node = fresh
        return node

    def _implied(self, parts: list[bytes]) -> _Node:
        if len(parts[-1]) > _NAME_BYTES:
            raise InvalidArgument(f"cannot unpack below {parts[-1][:160]!r}: File name too long")
        known = self._inherit(b"/".join(parts)) if self._inherit else None
        node = self._new_directory(stat.S_IMODE(known.st_mode) if known else 0o755)
        if known:
            node.uid, node.gid = known.st_uid, known.st_gid
        return node

    def _find_name(self, parts: list[bytes]) -> _Node | None:
        """What stands under a name, which is not followed itself."""
        place = self._find(parts[:-1])
        return _children(place).get(parts[-1]) if place is not None and place.is_directory else None

    def _find(self, parts: list[bytes]) -> _Node | None:
        """What a path leads to in this layer, following symbolic links inside it, the last one too."""
        pending = list(reversed(parts))
        path: list[_Node] = [self.root]
        followed = 0
        while pending:
            part = pending.pop()
            if part in (b"", b"."):
                continue
            if part == b"..":
                if len(path) > 1:
                    path.pop()
                continue
            if not path[-1].is_directory:
                return None
            child = _children(path[-1]).get(part)
            if child is None:
                return None
            if child.target:
                followed += 1
                if followed > _MOST_LINKS:
                    raise InvalidArgument(f"too many symbolic links in {b'/'.join(parts)[:160]!r}")
                if child.target.startswith(b"/"):
                    path = [self.root]
                pending += reversed(child.target.split(b"/"))
                continue
            path.append(child)
        return path[-1]

    # the end

    def _finish(self) -> None:
        """Writes all directories, the root first."""
        nodes: list[tuple[_Node, _Node]] = [(self.root, self.root)]
        for node, _ in nodes:  # grows as it goes
            nodes += [(child, node) for child in _children(node).values() if child.is_directory]
        made = {id(node): self._plan(node) for node, _ in nodes}
        directories: list[Directory] = []
        entries: list[list[tuple[int | Directory, int]]] = []
        for node, parent in nodes:
            directory = made[id(node)]
            directories.append(directory)
            children = {**_children(node), b".": node, b"..": parent}
            entries.append(
                [
                    (made[id(child)] if child.is_directory else child.number or self._whiteout, child.mode)
                    for child in (children[name] for name in directory.names)
                ]
            )
        self._image.finish(directories, entries)

    def _plan(self, node: _Node) -> Directory:
        children = _children(node)
        below = sum(child.is_directory for child in children.values())
        inode = Inode(node.mode, node.uid, node.gid, node.mtime_nanos, links=2 + below)
        return Directory(inode, layout.pack_xattrs(node.xattrs), sorted([*children, b".", b".."]))


def _packed_xattrs(entry: Entry) -> bytes:
    return layout.pack_xattrs(
        {
            name: value
            for name, value in (entry.xattrs or {}).items()
            if not name.startswith(_DROPPED_XATTRS) and (entry.kind == Kind.FILE or not name.startswith(_FILE_XATTRS))
        }
    )


def _unlink(node: _Node) -> None:
    """Takes a name away from a thing, or from all that a directory holds."""
    pending = [node]
    while pending:
        gone = pending.pop()
        if gone.children is None:
            gone.links -= 1
        else:
            pending += gone.children.values()


def _children(node: _Node) -> dict[bytes, _Node]:
    if node.children is None:
        raise InvalidArgument("cannot unpack: Not a directory")
    return node.children
