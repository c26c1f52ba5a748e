# SPDX-License-Identifier: Apache-2.0
"""The bytes of EROFS structures: superblock, inodes, directory blocks, extended attributes (pure).

Little-endian, blocks of 4 KiB, extended inodes only (64 bytes, times in nanoseconds, 32-bit owners), no compression.
Source: Linux fs/erofs/erofs_fs.h and Documentation/filesystems/erofs.rst.
"""

from __future__ import annotations

import stat
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from holdfast.errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

BLOCK = 4096
BLOCK_BITS = 12
SLOT = 32
"""Inodes are numbered by their place: the number times 32 is the offset."""
INODE_BYTES = 64
ROOT_OFFSET = 1216
"""In the first block, because the superblock has only 16 bits for the root's number."""
LINKS_OFFSET = 44
NO_BLOCK = 0xFFFFFFFF
PLAIN, INLINE = 0, 2
"""Data in blocks of its own; or its last part behind the inode, in the inode's block."""

_SUPER = Struct("<IIIBBHQQIIII16s16sIHHHBBIQ24x")
_SUPER_OFFSET = 1024
_MAGIC = 0xE0F5E1E2
_INODE = Struct("<HHHHQIIIIqII16x")
_DIRENT = Struct("<QHBx")
_XATTR_HEAD = bytes(12)
_XATTR = Struct("<BBH")
_PREFIXES = (("user.", 1), ("trusted.", 4), ("security.", 6))
_WHOLE_NAMES = {"system.posix_acl_access": 2, "system.posix_acl_default": 3}
_NAME_BYTES = 255
_VALUE_BYTES = 0xFFFF
_BILLION = 1_000_000_000
_TYPES = {
    stat.S_IFREG: 1,
    stat.S_IFDIR: 2,
    stat.S_IFCHR: 3,
    stat.S_IFBLK: 4,
    stat.S_IFIFO: 5,
    stat.S_IFSOCK: 6,
    stat.S_IFLNK: 7,
}


class Inode(NamedTuple):
    """What an inode says; `place` is a block number or a device's."""

    mode: int
    uid: int
    gid: int
    mtime_nanos: int
    size: int = 0
    links: int = 1
    layout: int = PLAIN
    place: int = 0


class Name(NamedTuple):
    """One entry of a directory."""

    name: bytes
    number: int
    mode: int


def pack_super(*, root_number: int, inodes: int, blocks: int, uuid: bytes) -> bytes:
    """The first bytes of an image, up to the end of the superblock."""
    block = _SUPER.pack(
        _MAGIC, 0, 0, BLOCK_BITS, 0, root_number, inodes, 0, 0, blocks, 0, 0, uuid, bytes(16), 0, 0, 0, 0, 0, 0, 0, 0
    )
    return bytes(_SUPER_OFFSET) + block


def pack_inode(inode: Inode, xattrs: bytes) -> bytes:
    """An inode and the attributes behind it."""
    seconds, nanos = divmod(inode.mtime_nanos, _BILLION)
    count = (len(xattrs) - len(_XATTR_HEAD)) // 4 + 1 if xattrs else 0
    return (
        _INODE.pack(
            1 | inode.layout << 1,
            count,
            inode.mode,
            0,
            inode.size,
            inode.place,
            0,
            inode.uid,
            inode.gid,
            seconds,
            nanos,
            inode.links,
        )
        + xattrs
    )


def pack_file(layout: int, mode: int, uid: int, gid: int, mtime_nanos: int, size: int, place: int) -> bytes:
    """The inode of a thing with one name and no attributes: `pack_inode` without the making of a value."""
    seconds, nanos = divmod(mtime_nanos, _BILLION)
    return _INODE.pack(1 | layout << 1, 0, mode, 0, size, place, 0, uid, gid, seconds, nanos, 1)


def pack_xattrs(xattrs: Mapping[str, bytes]) -> bytes:
    """Extended attributes, those of kinds that the kernel's EROFS knows; nothing when there is none."""
    entries: list[bytes] = []
    for name, value in xattrs.items():
        split = _split(name)
        if split is None:
            continue
        index, rest = split
        if len(rest) > _NAME_BYTES or len(value) > _VALUE_BYTES:
            raise InvalidArgument(f"extended attribute {name[:80]!r} is too large")
        entry = _XATTR.pack(len(rest), index, len(value)) + rest + value
        entries.append(entry + bytes(-len(entry) % 4))
    return _XATTR_HEAD + b"".join(entries) if entries else b""


def _split(name: str) -> tuple[int, bytes] | None:
    if name in _WHOLE_NAMES:
        return _WHOLE_NAMES[name], b""
    for prefix, index in _PREFIXES:
        if name.startswith(prefix):
            return index, name[len(prefix) :].encode("utf-8", "surrogateescape")
    return None


def device_number(major: int, minor: int) -> int:
    """A device as the kernel writes it on disk."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


def plan_directory(names: Sequence[bytes]) -> tuple[list[int], int]:
    """Distributes sorted names over blocks: the number of names in each, and the directory's size in bytes."""
    counts: list[int] = []
    used = count = 0
    for name in names:
        need = _DIRENT.size + len(name)
        if used + need > BLOCK:
            counts.append(count)
            used = count = 0
        used += need
        count += 1
    return [*counts, count], len(counts) * BLOCK + used


def pack_directory(names: Sequence[Name], counts: Sequence[int]) -> bytes:
    """The blocks of a directory, as `plan_directory` has planned them; the last one is as long as it is."""
    blocks: list[bytes] = []
    position = 0
    for count in counts:
        part = names[position : position + count]
        position += count
        offset = _DIRENT.size * count
        heads: list[bytes] = []
        for name, number, mode in part:
            heads.append(_DIRENT.pack(number, offset, _TYPES[stat.S_IFMT(mode)]))
            offset += len(name)
        block = b"".join([*heads, *(name for name, _, _ in part)])
        is_last = position == len(names)
        blocks.append(block if is_last else block.ljust(BLOCK, b"\0"))
    return b"".join(blocks)
