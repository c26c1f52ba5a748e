# SPDX-License-Identifier: Apache-2.0
"""One member of a tar archive as a value, and the limits that reading obeys.

Names stay bytes from end to end: an archive may hold any byte but NUL. Source: POSIX pax, GNU tar manual "Standard".
"""

from __future__ import annotations

from typing import NamedTuple


class Kind:
    """The type flag's meaning; `CONTIGUOUS` and the old NUL flag are read as FILE."""

    FILE = b"0"
    HARD_LINK = b"1"
    SYMLINK = b"2"
    CHARACTER = b"3"
    BLOCK = b"4"
    DIRECTORY = b"5"
    FIFO = b"6"


class Limits(NamedTuple):
    """What an archive may cost before it is refused (security.md R6)."""

    header_bytes: int = 1 << 20
    entries: int = 2_000_000
    total_bytes: int = 64 << 30
    path_bytes: int = 4096
    xattr_bytes: int = 1 << 20


class Entry:
    """A member; `size` is of the content that follows, `mtime_nanos` of the epoch, `xattrs` by name."""

    __slots__ = ("gid", "kind", "link", "major", "minor", "mode", "mtime_nanos", "name", "size", "uid", "xattrs")

    def __init__(
        self,
        name: bytes,
        kind: bytes = Kind.FILE,
        *,
        mode: int = 0o644,
        uid: int = 0,
        gid: int = 0,
        size: int = 0,
        mtime_nanos: int = 0,
        link: bytes = b"",
        major: int = 0,
        minor: int = 0,
        xattrs: dict[str, bytes] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind
        self.mode = mode
        self.uid = uid
        self.gid = gid
        self.size = size
        self.mtime_nanos = mtime_nanos
        self.link = link
        self.major = major
        self.minor = minor
        self.xattrs = xattrs

    def __repr__(self) -> str:
        return f"Entry({self.name!r}, {self.kind!r}, mode={self.mode:#o}, size={self.size}, link={self.link!r})"
