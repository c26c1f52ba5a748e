# SPDX-License-Identifier: Apache-2.0
"""Writes one EROFS image into a file, from front to back, while what goes into it is still arriving.

Files, links and nodes get their inode as they come, in blocks that they share, with the ends of short files right
behind them; directories are written at the end, when their entries are known. Large contents are not copied: what was
added is held until a few hundred pieces, or a megabyte, go out in one system call. Called by `layer`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from holdfast.kernel import writeback
from holdfast.snapshots.erofs import layout
from holdfast.snapshots.erofs.layout import BLOCK, INLINE, INODE_BYTES, PLAIN, SLOT, Inode, Name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_FLUSH_BYTES = 1 << 20
_FLUSH_PIECES = 512
_WORTH_HOLDING_BYTES = 16 << 10
"""A view keeps the whole buffer that it is part of; a smaller piece is copied, so that what is held stays bounded."""
_ZEROS = bytes(BLOCK)
_INLINE_BYTES = BLOCK - INODE_BYTES
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
    """One image; the file must be empty. After `finish` it is complete, and written but for an fsync.

    What is added must not change afterwards.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._pieces: list[bytes | bytearray | memoryview] = []
        self._held_bytes = 0
        self._written_bytes = BLOCK
        self._started_bytes = BLOCK
        self._shared = bytearray(BLOCK)
        self._shared_offset = 0
        self._shared_used = BLOCK
        self._links: list[tuple[int, int]] = []
        self._count = 0

    def add(self, inode: Inode, xattrs: bytes = b"", content: Iterable[bytes | memoryview] = ()) -> int:
        """Writes a link, a node or a long file and returns its number. `content` has `inode.size` bytes."""
        self._count += 1
        size = inode.size
        if not size:
            return self._place(layout.pack_inode(inode, xattrs))
        tail_size = size % BLOCK
        is_inline = 0 < tail_size <= _INLINE_BYTES - len(xattrs)
        whole = size - tail_size
        place = self._next_block() if whole or not is_inline else layout.NO_BLOCK
        tail = self._stream(content, whole)
        if is_inline:
            return self._place(layout.pack_inode(inode._replace(layout=INLINE, place=place), xattrs) + tail)
        if tail:
            self._append(tail.ljust(BLOCK, b"\0"))
        return self._place(layout.pack_inode(inode._replace(place=place), xattrs))

    def add_file(self, mode: int, uid: int, gid: int, mtime_nanos: int, content: memoryview) -> int:
        """Writes a file without attributes whose whole content is at hand; what `add` does, for most files of a layer."""
        self._count += 1
        size = len(content)
        tail_size = size % BLOCK
        if 0 < tail_size <= _INLINE_BYTES:
            whole = size - tail_size
            if not whole:
                head = layout.pack_file(INLINE, mode, uid, gid, mtime_nanos, size, layout.NO_BLOCK)
                return self._place(head + content)
            head = layout.pack_file(INLINE, mode, uid, gid, mtime_nanos, size, self._next_block())
            self._append(content[:whole])
            return self._place(head + content[whole:])
        head = layout.pack_file(PLAIN, mode, uid, gid, mtime_nanos, size, self._next_block() if size else 0)
        if size:
            self._append(content)
        if tail_size:
            self._append(_ZEROS[tail_size:])
        return self._place(head)

    def set_links(self, number: int, links: int) -> None:
        """Says at the end how many names a file has got."""
        self._links.append((number, links))

    def finish(
        self, directories: Sequence[Directory], entries: Sequence[Sequence[tuple[int | Directory, int]]]
    ) -> None:
        """Writes the directories, the root first; `entries` are their names' (number or directory, mode) in order."""
        self._close_shared()
        self._count += len(directories)
        root, *others = directories
        start = self._next_block() * BLOCK
        inodes = bytearray(_number(root, others, start) - start)
        next_block = (start + len(inodes)) // BLOCK
        blocks: list[bytes] = []
        images: list[bytes] = []
        for directory, targets in zip(directories, entries, strict=True):
            names = [
                Name(name, target.number if isinstance(target, Directory) else target, mode)
                for name, (target, mode) in zip(directory.names, targets, strict=True)
            ]
            data = layout.pack_directory(names, directory.counts)
            if _is_inline(directory):
                inode = directory.inode._replace(size=directory.size, layout=INLINE, place=layout.NO_BLOCK)
                images.append(layout.pack_inode(inode, directory.xattrs) + data)
                continue
            inode = directory.inode._replace(size=directory.size, layout=PLAIN, place=next_block)
            images.append(layout.pack_inode(inode, directory.xattrs))
            blocks.append(data.ljust(-(-len(data) // BLOCK) * BLOCK, b"\0"))
            next_block += len(blocks[-1]) // BLOCK
        for directory, image in zip(others, images[1:], strict=True):
            offset = directory.number * SLOT - start
            inodes[offset : offset + len(image)] = image
        for block in (inodes, *blocks):
            self._append(block)
        self._flush()
        for number, links in self._links:
            os.pwrite(self._fd, links.to_bytes(4, "little"), number * SLOT + layout.LINKS_OFFSET)
        self._write_head(images[0])

    def _write_head(self, root: bytes) -> None:
        """Superblock and root, last: an image that was not finished is none."""
        head = layout.pack_super(
            root_number=_ROOT_NUMBER, inodes=self._count, blocks=self._written_bytes // BLOCK, uuid=os.urandom(16)
        )
        block = (head.ljust(layout.ROOT_OFFSET, b"\0") + root).ljust(BLOCK, b"\0")
        os.pwrite(self._fd, block, 0)

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
        return (self._written_bytes + self._held_bytes) // BLOCK

    def _place(self, image: bytes) -> int:
        """Puts an inode and what follows it into the shared block, or into blocks of its own."""
        size = len(image)
        if size > BLOCK:
            number = self._next_block() * BLOCK // SLOT
            self._append(image.ljust(-(-size // BLOCK) * BLOCK, b"\0"))
            return number
        start = self._shared_used
        if start + size > BLOCK:
            self._close_shared()
            self._shared_offset = self._written_bytes + self._held_bytes
            self._append(self._shared)
            start = 0
        self._shared[start : start + size] = image
        self._shared_used = start + size + -size % SLOT
        return (self._shared_offset + start) // SLOT

    def _close_shared(self) -> None:
        """Takes a fresh block to share; the old one is among the pieces, or was written before it was full."""
        if 0 < self._shared_offset < self._written_bytes:
            self._write_at(self._shared_offset, self._shared)
        self._shared = bytearray(BLOCK)
        self._shared_offset = 0
        self._shared_used = BLOCK

    def _write_at(self, offset: int, data: bytes | bytearray) -> None:
        """Fills a place that was left free in what is written already."""
        written = 0
        view = memoryview(data)
        while written < len(view):
            written += os.pwrite(self._fd, view[written:], offset + written)

    def _append(self, data: bytes | bytearray | memoryview) -> None:
        if isinstance(data, memoryview) and len(data) < _WORTH_HOLDING_BYTES:
            data = bytes(data)
        self._pieces.append(data)
        self._held_bytes += len(data)
        if self._held_bytes >= _FLUSH_BYTES or len(self._pieces) >= _FLUSH_PIECES:
            self._flush()

    def _flush(self) -> None:
        pieces = self._pieces
        while pieces:
            written = os.pwritev(self._fd, pieces, self._written_bytes)
            self._written_bytes += written
            self._held_bytes -= written
            done = 0
            while done < len(pieces) and written >= len(pieces[done]):
                written -= len(pieces[done])
                done += 1
            del pieces[:done]
            if written:
                pieces[0] = memoryview(pieces[0])[written:]
        if self._written_bytes - self._started_bytes >= writeback.STEP_BYTES:
            writeback.start(self._fd, self._started_bytes, self._written_bytes - self._started_bytes)
            self._started_bytes = self._written_bytes


def _number(root: Directory, others: Sequence[Directory], start: int) -> int:
    """Gives every directory its place: the root in the first block, the others from `start` on; returns where they end."""
    root.number = _ROOT_NUMBER
    offset = start
    for directory in others:
        need = INODE_BYTES + len(directory.xattrs) + (directory.size if _is_inline(directory) else 0)
        if offset % BLOCK + need > BLOCK:
            offset += -offset % BLOCK
        directory.number = offset // SLOT
        offset += need + -need % SLOT
    return offset + -offset % BLOCK


def _is_inline(directory: Directory) -> bool:
    """Whether a directory's entries fit behind its inode; the root has only the rest of the first block."""
    start = layout.ROOT_OFFSET if directory.number == _ROOT_NUMBER else 0
    return start + INODE_BYTES + len(directory.xattrs) + directory.size <= BLOCK and len(directory.counts) == 1
