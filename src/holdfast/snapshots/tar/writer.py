# SPDX-License-Identifier: Apache-2.0
"""Writes tar archives: ustar headers, pax records only where ustar cannot say it (as Docker's layers are).

The same entries give the same bytes. Called by diff (layers), images.save, built-in images and archive downloads.
Source: POSIX pax and ustar.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from holdfast.errors import InvalidArgument
from holdfast.snapshots.tar import numbers, pax
from holdfast.snapshots.tar.entry import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterable

_BLOCK = 512
_NAME, _PREFIX, _LINK = 100, 155, 100
_MAX_ID = 8**7 - 1
_MAX_SIZE = 8**11 - 1


class Writable(Protocol):
    """Wherever bytes go."""

    def write(self, data: bytes, /) -> object: ...


class Writer:
    """Appends members to a stream; `close` writes the end mark."""

    def __init__(self, target: Writable) -> None:
        self._target = target

    def add(self, entry: Entry, content: bytes | Iterable[bytes | memoryview] = b"") -> None:
        """Writes one member; the content must have exactly `entry.size` bytes."""
        self._target.write(encode(entry))
        left = entry.size
        for chunk in [content] if isinstance(content, bytes) else content:
            left -= len(chunk)
            if left < 0:
                break
            self._target.write(bytes(chunk))
        if left:
            raise InvalidArgument(f"content of {entry.name!r} differs from its size of {entry.size} bytes")
        self._target.write(bytes(-entry.size % _BLOCK))

    def close(self) -> None:
        """Writes the two zero blocks; the stream stays open."""
        self._target.write(bytes(2 * _BLOCK))


def encode(entry: Entry) -> bytes:
    """The header blocks of one member."""
    records: dict[bytes, bytes] = {}
    prefix, name = _split(entry.name)
    if name is None:
        records[b"path"] = entry.name
        prefix, name = b"", _shorten(entry.name, _NAME)
    link = entry.link
    if len(link) > _LINK:
        records[b"linkpath"] = link
        link = _shorten(link, _LINK)
    for key, value, limit in (
        (b"size", entry.size, _MAX_SIZE),
        (b"uid", entry.uid, _MAX_ID),
        (b"gid", entry.gid, _MAX_ID),
    ):
        if value > limit:
            records[key] = b"%d" % value
    seconds, fraction = divmod(entry.mtime_nanos, numbers.NANOS)
    if fraction or not 0 <= seconds <= _MAX_SIZE:
        records[b"mtime"] = numbers.format_seconds(entry.mtime_nanos)
    for key, value in sorted((entry.xattrs or {}).items()):
        records[pax.XATTR_PREFIX + key.encode("utf-8", "surrogateescape")] = value
    header = _header(entry, prefix, name, link, min(max(seconds, 0), _MAX_SIZE))
    if not records:
        return header
    data = pax.format_records(records)
    extension = Entry(b"PaxHeaders.0/" + _shorten(name.rpartition(b"/")[2] or b"x", 80), b"x", size=len(data))
    return _header(extension, b"", extension.name, b"", 0) + data + bytes(-len(data) % _BLOCK) + header


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """Prefix and name of a ustar header; no name when the path fits neither."""
    if len(name) <= _NAME:
        return b"", name
    cut = name.rfind(b"/", 0, _PREFIX + 1)
    while cut > 0:
        rest = name[cut + 1 :]
        if rest and len(rest) <= _NAME:
            return name[:cut], rest
        if len(rest) > _NAME:
            break
        cut = name.rfind(b"/", 0, cut)
    return b"", None


def _shorten(name: bytes, limit: int) -> bytes:
    return name[-limit:].lstrip(b"/") or b"x"


def _header(entry: Entry, prefix: bytes, name: bytes, link: bytes, seconds: int) -> bytes:
    is_device = entry.kind in (Kind.CHARACTER, Kind.BLOCK)
    blank = b"".join(
        (
            name.ljust(_NAME, b"\0"),
            numbers.format_field(entry.mode & 0o7777, 8),
            numbers.format_field(min(entry.uid, _MAX_ID), 8),
            numbers.format_field(min(entry.gid, _MAX_ID), 8),
            numbers.format_field(min(entry.size, _MAX_SIZE), 12),
            numbers.format_field(seconds, 12),
            b" " * 8,
            entry.kind,
            link.ljust(_LINK, b"\0"),
            b"ustar\x0000",
            bytes(64),
            numbers.format_field(entry.major if is_device else 0, 8),
            numbers.format_field(entry.minor if is_device else 0, 8),
            prefix.ljust(_PREFIX, b"\0"),
            bytes(12),
        )
    )
    return blank[:148] + b"%06o\0 " % sum(blank) + blank[156:]
