# SPDX-License-Identifier: Apache-2.0
"""Writes one EROFS image into a file, from front to back, while what goes into it is still arriving.

Files, links and nodes get their inode as they come, in blocks that they share, with the ends of short files right
behind them; directories are written at the end, when their entries are known. In memory is one megabyte, and what the
caller keeps. Called by `layer`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.snapshots.erofs import layout
from holdfast.snapshots.erofs.layout import BLOCK, INLINE, INODE_BYTES, PLAIN, SLOT, Inode, Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FLUSH_BYTES = 1 << 20
_ROOT_NUMBER = layout.ROOT_OFFSET // SLOT


class Directory:
    """A directory on its way into the image; `names` are sorted and hold `.` and `..`."""

    __slots__ = ("counts", "inode", "names", "number", "size", "xattrs")

    def __init__(self, inode: Inode, xattrs: bytes, names: Sequence[bytes]) -> None:
        self.inode = inode
        self.xattrs = xattrs
        self.names = names
        self.counts, self.size = layout.plan_directory(names)
        self.number = 0


class ImageWriter:
    """One image; the file must be empty. After `finish` it is complete, and written but for an fsync."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._out = bytearray()
        self._out_block = 1
        self._shared = bytearray()
        self._shared_block = 0
        self._links: list[tuple[int, int]] = []
        self._count = 0

    def add(self, inode: Inode, xattrs: bytes = b"", content: Iterable[bytes | memoryview] = ()) -> int:
        """Writes a file, link or node and returns its number. `content` has `inode.size` bytes."""
        self._count += 1
        size = inode.size
        if not size:
            return self._place(layout.pack_inode(inode, xattrs))
        tail_size = size % BLOCK
        is_inline = 0 < tail_size <= BLOCK - INODE_BYTES - len(xattrs)
        whole = size - tail_size
        place = self._next_block() if whole or not is_inline else layout.NO_BLOCK
        tail = self._stream(content, whole)
        if is_inline:
            return self._place(layout.pack_inode(inode._replace(layout=INLINE, place=place), xattrs) + tail)
        self._append(tail.ljust(BLOCK, b"\0") if tail else b"")
        return self._place(layout.pack_inode(inode._replace(place=place), xattrs))

    def set_links(self, number: int, links: int) -> None:
        """Says at the end how many names a file has got."""
        self._links.append((number, links))

    def finish(
        self, directories: Sequence[Directory], entries: Sequence[Sequence[tuple[int | Directory, int]]]
    ) -> None:
        """Writes the directories, the root first; `entries` are their names' (number or directory, mode) in order."""
        self._close_shared()
        self._count += len(directories)
        root = directories[0]
        self._number(directories)
        blocks: list[bytes] = []
        next_block = self._out_block + len(self._out) // BLOCK
        places: list[tuple[Directory, bytes]] = []
        for directory, targets in zip(directories, entries, strict=True):
            names = [
                Name(name, target.number if isinstance(target, Directory) else target, mode)
                for name, (target, mode) in zip(directory.names, targets, strict=True)
            ]
            data = layout.pack_directory(names, directory.counts)
            if _is_inline(directory):
                inode = directory.inode._replace(size=directory.size, layout=INLINE, place=layout.NO_BLOCK)
                places.append((directory, layout.pack_inode(inode, directory.xattrs) + data))
                continue
            inode = directory.inode._replace(size=directory.size, layout=PLAIN, place=next_block)
            places.append((directory, layout.pack_inode(inode, directory.xattrs)))
            blocks.append(data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0"))
            next_block += len(blocks[-1]) // BLOCK
        for directory, image in places:
            if directory is not root:
                self._write_at(directory.number * SLOT, image)
        for block in blocks:
            self._append(block)
        self._flush()
        for number, links in self._links:
            os.pwrite(self._fd, links.to_bytes(4, "little"), number * SLOT + layout.LINKS_OFFSET)
        self._write_head(places[0][1])

    def _write_head(self, root: bytes) -> None:
        """Superblock and root, last: an image that was not finished is none."""
        head = layout.pack_super(
            root_number=_ROOT_NUMBER, inodes=self._count, blocks=self._out_block, uuid=os.urandom(16)
        )
        block = (head.ljust(layout.ROOT_OFFSET, b"\0") + root).ljust(BLOCK, b"\0")
        os.pwrite(self._fd, block, 0)

    def _number(self, directories: Sequence[Directory]) -> None:
        """Gives every directory its place: the root in the first block, the others in blocks of their own."""
        directories[0].number = _ROOT_NUMBER
        start = offset = (self._out_block + len(self._out) // BLOCK) * BLOCK
        for directory in directories[1:]:
            need = INODE_BYTES + len(directory.xattrs) + (directory.size if _is_inline(directory) else 0)
            if offset % BLOCK + need > BLOCK:
                offset += -offset % BLOCK
            directory.number = offset // SLOT
            offset += need + -need % SLOT
        self._append(bytes(offset - start + -offset % BLOCK))

    def _stream(self, content: Iterable[bytes | memoryview], whole: int) -> bytes:
        """Appends the first `whole` bytes, returns the rest."""
        tail = b""
        for chunk in content:
            if whole >= len(chunk):
                self._append(chunk)
                whole -= len(chunk)
                continue
            self._append(chunk[:whole])
            tail += bytes(chunk[whole:])
            whole = 0
        return tail

    def _next_block(self) -> int:
        return self._out_block + len(self._out) // BLOCK

    def _place(self, image: bytes) -> int:
        """Puts an inode and what follows it into the shared block, or into blocks of its own."""
        if len(image) > BLOCK:
            number = self._next_block() * BLOCK // SLOT
            self._append(image.ljust(-(-len(image) // BLOCK) * BLOCK, b"\0"))
            return number
        if not self._shared_block or len(self._shared) + len(image) > BLOCK:
            self._close_shared()
            self._shared_block = self._next_block()
            self._append(bytes(BLOCK))
        offset = len(self._shared)
        self._shared += image + bytes(-len(image) % SLOT)
        return (self._shared_block * BLOCK + offset) // SLOT

    def _close_shared(self) -> None:
        if self._shared_block:
            self._write_at(self._shared_block * BLOCK, bytes(self._shared))
        self._shared.clear()
        self._shared_block = 0

    def _write_at(self, offset: int, data: bytes) -> None:
        """Fills a place that was left free: in what is still here, or in the file."""
        start = offset - self._out_block * BLOCK
        if start >= 0:
            self._out[start : start + len(data)] = data
        else:
            os.pwrite(self._fd, data, offset)

    def _append(self, data: bytes | memoryview) -> None:
        self._out += data
        if len(self._out) >= _FLUSH_BYTES and not len(self._out) % BLOCK:
            self._flush()

    def _flush(self) -> None:
        view = memoryview(self._out)
        offset = self._out_block * BLOCK
        written = 0
        while written < len(view):
            written += os.pwrite(self._fd, view[written:], offset + written)
        view.release()
        self._out_block += len(self._out) // BLOCK
        self._out.clear()


def _is_inline(directory: Directory) -> bool:
    """Whether a directory's entries fit behind its inode; the root has only the rest of the first block."""
    start = layout.ROOT_OFFSET if directory.number == _ROOT_NUMBER else 0
    return start + INODE_BYTES + len(directory.xattrs) + directory.size <= BLOCK and len(directory.counts) == 1
