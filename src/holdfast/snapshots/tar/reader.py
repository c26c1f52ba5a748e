# SPDX-License-Identifier: Apache-2.0
"""Reads tar archives from any stream: ustar, pax, GNU long names, base-256 numbers, extended attributes.

    reader = Reader(source)
    for entry in reader:
        for chunk in reader.chunks():      # may be left out: the rest is skipped
            ...

Never seeks. Bytes are untrusted: every number and name is checked, every cost has a limit, and what is wrong raises
InvalidArgument (damaged) or Exhausted (over a limit). Sparse members are refused as Unsupported. Content is handed out
as views of the bytes that the source gave: whoever keeps one keeps them all. Called by apply, images.load and archive uploads.
Source: POSIX pax and ustar, GNU tar manual "Basic Tar Format".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Protocol

from holdfast.errors import Exhausted, InvalidArgument, Unsupported
from holdfast.snapshots.tar import numbers, pax
from holdfast.snapshots.tar.entry import Entry, Kind, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
_READ_BYTES = 256 << 10
_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
_ZERO = bytes(BLOCK)
_BLANK_CHECKSUM = 8 * 0x20
_CONTENT_KINDS = frozenset(b"07\0")
_KNOWN_KINDS = frozenset(b"0123456")
_LONG_NAME, _LONG_LINK, _PAX, _PAX_GLOBAL, _SPARSE = b"L", b"K", b"x", b"g", b"S"
_MTIME_LIMIT = 1 << 62
_SIZE_OPTION = "the daemon's option max-unpacked-size allows more"
_ENTRIES_OPTION = "the daemon's option max-unpacked-entries allows more"
_ATTRIBUTES_OPTION = "the daemon's option max-attributes-size allows more"


class Readable(Protocol):
    """Whatever bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class Reader:
    """An iterator over the entries of one archive; see the module."""

    def __init__(self, source: Readable, limits: Limits | None = None) -> None:
        self._source = source
        self._limits = limits if limits is not None else Limits()
        self._buffer = memoryview(b"")
        self._position = 0
        self._content = 0
        self._padding = 0
        self._entries = 0
        self._total = 0
        self._globals: dict[bytes, bytes] = {}

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.next()) is not None:
            yield entry

    def next(self) -> Entry | None:
        """The next entry, None at the archive's end (two zero blocks, or the stream's end between entries)."""
        overrides: dict[bytes, bytes] = {}
        while True:
            position = self._position + self._content + self._padding
            if position <= len(self._buffer):
                self._position = position
            else:
                self._skip(self._content + self._padding)
            self._content = self._padding = 0
            header = self._header()
            if header is None:
                if overrides:
                    raise InvalidArgument("damaged tar archive: it ends after an extended header")
                return None
            fields = _HEADER.unpack(header)
            flag: bytes = fields[7]
            if flag in (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_LINK):
                self._extend(flag, fields, overrides)
                continue
            return self._entry(fields, overrides)

    def chunks(self) -> Iterator[memoryview]:
        """The current entry's content in pieces."""
        while self._content:
            if self._position == len(self._buffer):
                self._fill()
            chunk = self._buffer[self._position : self._position + self._content]
            self._position += len(chunk)
            self._content -= len(chunk)
            yield chunk

    def whole(self) -> memoryview | None:
        """The current entry's whole content when it lies in the buffer already, else None (use `chunks`)."""
        end = self._position + self._content
        if end > len(self._buffer):
            return None
        chunk = self._buffer[self._position : end]
        self._position = end
        self._content = 0
        return chunk

    def read(self, limit: int) -> bytes:
        """The current entry's content as bytes; Exhausted above `limit`."""
        if self._content > limit:
            raise Exhausted(f"archive member of {self._content} bytes is larger than the limit of {limit}")
        return b"".join(bytes(chunk) for chunk in self.chunks())

    def drain(self) -> int:
        """Reads the source to its end after the last entry (padding, trailing bytes) and returns how much that was."""
        count = len(self._buffer) - self._position
        self._position = len(self._buffer)
        while data := self._source.read(_READ_BYTES):
            count += len(data)
        return count

    def _fill(self) -> None:
        data = self._source.read(_READ_BYTES)
        if not data:
            raise InvalidArgument("unexpected EOF: truncated tar archive, it ends within a member")
        self._buffer = memoryview(data)
        self._position = 0

    def _skip(self, count: int) -> None:
        while count:
            if self._position == len(self._buffer):
                self._fill()
            step = min(count, len(self._buffer) - self._position)
            self._position += step
            count -= step

    def _block(self) -> bytes:
        """The next 512 bytes, fewer only at the end of the stream."""
        position = self._position
        block = bytes(self._buffer[position : position + BLOCK])
        self._position = position + len(block)
        while len(block) < BLOCK:
            data = self._source.read(_READ_BYTES)
            if not data:
                return block
            self._buffer = memoryview(data)
            self._position = min(BLOCK - len(block), len(data))
            block += data[: self._position]
        return block

    def _header(self) -> bytes | None:
        block = self._block()
        if not block or block == _ZERO:
            return None
        if len(block) < BLOCK:
            raise InvalidArgument("unexpected EOF: truncated tar archive, it ends within a header")
        checksum = block[148:156]
        stored = numbers.parse_field(checksum)
        unsigned = sum(block) - sum(checksum) + _BLANK_CHECKSUM
        if stored != unsigned:
            signed = unsigned - 256 * sum(1 for byte in block[:148] + block[156:] if byte > 127)
            if stored != signed:
                raise InvalidArgument("archive/tar: invalid tar header: wrong checksum")
        self._entries += 1
        if self._entries > self._limits.entries:
            raise Exhausted(f"archive has more than the limit of {self._limits.entries} entries ({_ENTRIES_OPTION})")
        return block

    def _extend(self, flag: bytes, fields: tuple[bytes, ...], overrides: dict[bytes, bytes]) -> None:
        """Takes in a pax header or a GNU long name."""
        size = numbers.parse_field(fields[4])
        if not 0 <= size <= self._limits.header_bytes:
            raise InvalidArgument(f"extended tar header of {size} bytes is outside the limit ({_ATTRIBUTES_OPTION})")
        self._content, self._padding = size, -size % BLOCK
        data = b"".join(bytes(chunk) for chunk in self.chunks())
        if flag == _PAX:
            overrides.update(pax.parse(data))
        elif flag == _PAX_GLOBAL:
            self._globals.update(pax.parse(data))
            if sum(map(len, self._globals.values())) > self._limits.header_bytes:
                raise Exhausted(f"global pax headers are larger than the limit ({_ATTRIBUTES_OPTION})")
        else:
            overrides[b"path" if flag == _LONG_NAME else b"linkpath"] = data.partition(b"\0")[0]

    def _entry(self, fields: tuple[bytes, ...], overrides: dict[bytes, bytes]) -> Entry:
        name = fields[0].partition(b"\0")[0]
        if fields[9][:6] == b"ustar\0" and fields[14][0]:
            name = fields[14].partition(b"\0")[0] + b"/" + name
        entry = Entry(
            name,
            fields[7],
            mode=numbers.parse_repeated(fields[1]) & 0o7777,
            uid=numbers.parse_repeated(fields[2]),
            gid=numbers.parse_repeated(fields[3]),
            size=numbers.parse_field(fields[4]),
            mtime_nanos=numbers.parse_repeated(fields[5]) * numbers.NANOS,
            link=fields[8].partition(b"\0")[0],
        )
        if fields[7] in (Kind.CHARACTER, Kind.BLOCK):
            entry.major, entry.minor = numbers.parse_field(fields[12]), numbers.parse_field(fields[13])
        if self._globals or overrides:
            self._override(entry, {**self._globals, **overrides})
        self._settle(entry)
        return entry

    def _override(self, entry: Entry, records: dict[bytes, bytes]) -> None:
        """Applies pax records; an empty value takes the record back."""
        xattrs: dict[str, bytes] = {}
        for key, value in records.items():
            if key.startswith(pax.XATTR_PREFIX):
                if b"\0" in key or len(key) == len(pax.XATTR_PREFIX):
                    raise InvalidArgument(f"archive member {entry.name!r} has an impossible attribute name")
                xattrs[key[len(pax.XATTR_PREFIX) :].decode("utf-8", "surrogateescape")] = value
            elif key.startswith(pax.SPARSE_PREFIX):
                raise Unsupported(f"archive member {entry.name!r} is sparse, which is not supported")
            elif not value:
                continue
            elif key == b"path":
                entry.name = value
            elif key == b"linkpath":
                entry.link = value
            elif key == b"size":
                entry.size = numbers.parse_decimal(value, key)
            elif key == b"uid":
                entry.uid = numbers.parse_decimal(value, key)
            elif key == b"gid":
                entry.gid = numbers.parse_decimal(value, key)
            elif key == b"mtime":
                entry.mtime_nanos = numbers.parse_seconds(value)
        if xattrs:
            if sum(len(k) + len(v) for k, v in xattrs.items()) > self._limits.xattr_bytes:
                raise Exhausted(
                    f"extended attributes of {entry.name!r} are larger than the limit ({_ATTRIBUTES_OPTION})"
                )
            entry.xattrs = xattrs

    def _settle(self, entry: Entry) -> None:
        """Normalises the kind, checks the numbers and says what content follows."""
        flag = entry.kind[0]
        if flag in _CONTENT_KINDS:
            entry.kind = Kind.DIRECTORY if flag == 0 and entry.name.endswith(b"/") else Kind.FILE
        elif entry.kind == _SPARSE:
            raise Unsupported(f"archive member {entry.name!r} is sparse, which is not supported")
        elif flag not in _KNOWN_KINDS:
            raise InvalidArgument(f"archive member {entry.name!r} is of the unknown type {entry.kind!r}")
        if entry.kind != Kind.FILE and entry.size > 0:
            entry.size = 0  # header-only kinds: what Go's reader does, too
        if not 0 <= entry.size < 1 << 62:
            raise InvalidArgument(f"archive member {entry.name!r} has the impossible size {entry.size}")
        if not (0 <= entry.uid < 1 << 32 and 0 <= entry.gid < 1 << 32):
            raise InvalidArgument(f"archive member {entry.name!r} has an impossible owner {entry.uid}:{entry.gid}")
        if abs(entry.mtime_nanos) > _MTIME_LIMIT:
            raise InvalidArgument(f"archive member {entry.name!r} has an impossible time")
        longest = self._limits.path_bytes
        if len(entry.name) > longest or b"\0" in entry.name:
            raise InvalidArgument(f"archive member {entry.name[:80]!r} has an impossible name")
        if entry.link and (len(entry.link) > longest or b"\0" in entry.link):
            raise InvalidArgument(f"archive member {entry.link[:80]!r} has an impossible name")
        self._total += entry.size
        if self._total > self._limits.total_bytes:
            raise Exhausted(
                f"archive expands to more than the limit of {self._limits.total_bytes} bytes ({_SIZE_OPTION})"
            )
        self._content, self._padding = entry.size, -entry.size % BLOCK
