# SPDX-License-Identifier: Apache-2.0
"""Stream encodings: gzip, zstd, bzip2, xz or none, recognised by their first bytes and undone in this process.

No helper program is ever run (GHSA-x86f-5xw2-fm2r), and expansion is bounded: a total, and a ratio that applies from
`ratio_floor_bytes` on, so that a layer of zeros is welcome and a bomb is not (security.md §2.2, R6).
gzip is undone by isal (2.3 times as fast as zlib) where it is installed.
"""

from __future__ import annotations

import bz2
import importlib
import lzma
import zlib
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from holdfast.errors import Exhausted, InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable


def _deflate_module() -> Any:
    try:
        return importlib.import_module("isal.isal_zlib")
    except ImportError:  # a platform without wheels
        return zlib


def _zstd_module() -> Any:
    try:
        return importlib.import_module("compression.zstd")
    except ImportError:  # before Python 3.14
        return importlib.import_module("backports.zstd")


_deflate = _deflate_module()
_zstd = _zstd_module()
_DAMAGED: tuple[type[Exception], ...] = (
    _deflate.error,
    zlib.error,
    _zstd.ZstdError,
    lzma.LZMAError,
    EOFError,
    OSError,
)

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_ZSTD_SKIPPABLE = (b"\x2a\x4d\x18", 0x50)
BZIP2_MAGIC = b"BZh"
XZ_MAGIC = b"\xfd7zXZ"
_LONGEST_MAGIC = 6
_XZ_MEMORY_BYTES = 128 << 20
_GZIP_WINDOW = 31
_IN_BYTES = 128 << 10
_OUT_BYTES = 1 << 20
_ZSTD_WINDOW_LOG_MAX = 27


class Limits(NamedTuple):
    """How far compressed input may expand."""

    total_bytes: int = 64 << 30
    ratio: int = 200
    ratio_floor_bytes: int = 256 << 20


class Readable(Protocol):
    """Whatever bytes come from."""

    def read(self, size: int, /) -> bytes: ...


class _Decoder(Protocol):
    eof: bool
    unused_data: bytes

    def feed(self, data: bytes) -> bytes: ...

    def is_hungry(self) -> bool: ...


class _Gzip:
    def __init__(self) -> None:
        self._state: Any = _deflate.decompressobj(wbits=_GZIP_WINDOW)
        self.eof = False
        self.unused_data = b""
        self._tail = b""

    def feed(self, data: bytes) -> bytes:
        out: bytes = self._state.decompress(self._tail + data, _OUT_BYTES)
        self._tail = self._state.unconsumed_tail
        self.eof = self._state.eof
        self.unused_data = self._state.unused_data
        return out

    def is_hungry(self) -> bool:
        return not self._tail


class _Zstd:
    def __init__(self) -> None:
        options = {_zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG_MAX}
        self._state: Any = _zstd.ZstdDecompressor(options=options)
        self.eof = False
        self.unused_data = b""

    def feed(self, data: bytes) -> bytes:
        out: bytes = self._state.decompress(data, _OUT_BYTES)
        self.eof = self._state.eof
        self.unused_data = self._state.unused_data if self.eof else b""
        return out

    def is_hungry(self) -> bool:
        return bool(self._state.needs_input)


class _Stdlib:
    """bz2 and lzma decompressors, which behave alike."""

    def __init__(self, state: bz2.BZ2Decompressor | lzma.LZMADecompressor) -> None:
        self._state = state
        self.eof = False
        self.unused_data = b""

    def feed(self, data: bytes) -> bytes:
        out = self._state.decompress(data, _OUT_BYTES)
        self.eof = self._state.eof
        self.unused_data = self._state.unused_data if self.eof else b""
        return out

    def is_hungry(self) -> bool:
        return self._state.needs_input


def _bzip2() -> _Decoder:
    return _Stdlib(bz2.BZ2Decompressor())


def _xz() -> _Decoder:
    return _Stdlib(lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES))


_DECODERS: dict[str, Callable[[], _Decoder]] = {"gzip": _Gzip, "zstd": _Zstd, "bzip2": _bzip2, "xz": _xz}


def detect(head: bytes) -> str:
    """`gzip`, `zstd`, `bzip2`, `xz` or `` for the first bytes of a stream."""
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    if head.startswith(ZSTD_MAGIC) or (head[1:4] == _ZSTD_SKIPPABLE[0] and head[0] & 0xF0 == _ZSTD_SKIPPABLE[1]):
        return "zstd"
    if head.startswith(XZ_MAGIC):
        return "xz"
    return "bzip2" if head.startswith(BZIP2_MAGIC) and head[3:4].isdigit() else ""


class Reader:
    """Reads the plain bytes of a stream that may be compressed; `kind` says how it was.

    `head` are bytes already taken from the source. Several gzip members or zstd frames follow each other freely;
    after the last one only zero bytes may come.
    """

    def __init__(self, source: Readable, head: bytes = b"", limits: Limits | None = None) -> None:
        self._source = source
        self._limits = limits if limits is not None else Limits()
        while len(head) < _LONGEST_MAGIC and (more := source.read(_IN_BYTES)):
            head += more
        self._pending = head
        self.kind = detect(head)
        self._make = _DECODERS.get(self.kind)
        self._decoder: _Decoder | None = self._make() if self._make else None
        self._taken = len(head)
        self._given = 0
        self._out = b""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes, empty only at the end; InvalidArgument for damaged input, Exhausted for a bomb."""
        if not self._out:
            self._out = self._next()
            self._given += len(self._out)
            self._check()
        if len(self._out) <= size:
            out, self._out = self._out, b""
        else:
            out, self._out = self._out[:size], self._out[size:]
        return out

    def _take(self) -> bytes:
        if self._pending:
            data, self._pending = self._pending, b""
            return data
        data = self._source.read(_IN_BYTES)
        self._taken += len(data)
        return data

    def _next(self) -> bytes:
        if self._make is None:
            return self._take()
        while self._decoder is not None:
            data = self._take() if self._decoder.is_hungry() else b""
            if not data and self._decoder.is_hungry():
                raise InvalidArgument(f"{self.kind} stream ends early")
            out = self._feed(self._decoder, data)
            if self._decoder.eof:
                self._advance(self._decoder.unused_data)
            if out:
                return out
        return b""

    def _feed(self, decoder: _Decoder, data: bytes) -> bytes:
        try:
            return decoder.feed(data)
        except _DAMAGED as error:
            raise InvalidArgument(f"damaged {self.kind} stream: {error}") from error

    def _advance(self, rest: bytes) -> None:
        """Goes on to the next member or frame, or to the end."""
        while True:
            rest = rest.lstrip(b"\0")
            if len(rest) >= 4:
                break
            more = self._source.read(_IN_BYTES)
            self._taken += len(more)
            if not more:
                break
            rest += more
        self._decoder = None
        if not rest:
            return
        if self._make is None or detect(rest) != self.kind:
            raise InvalidArgument(f"garbage after the end of the {self.kind} stream")
        self._decoder = self._make()
        self._pending = rest

    def _check(self) -> None:
        limits = self._limits
        if self._given > limits.total_bytes:
            raise Exhausted(
                f"the stream expands to more than the limit of {limits.total_bytes} bytes "
                "(the daemon's option max-unpacked-size allows more)"
            )
        if self._make and self._given > limits.ratio_floor_bytes and self._given > self._taken * limits.ratio:
            raise Exhausted(
                f"the {self.kind} stream expands to more than {limits.ratio} times its size "
                "(the daemon's option max-expansion-ratio allows more)"
            )
