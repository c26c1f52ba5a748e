# SPDX-License-Identifier: Apache-2.0
"""Docker's default driver: one JSON object per line in a file, `{"log":"text\\n","stream":"stdout","time":"..."}`.

Byte-compatible with dockerd's files, rotated ones too (`x-json.log.1` is the newest of them, `.gz` when compressed), so
that what reads Docker's logs reads ours. A piece of output costs a few bytes operations and one write(2) whatever its
number of lines; all its lines carry one time. A full disk drops entries, never half of one.
Options: max-size, max-file, compress; labels, labels-regex, env, env-regex and tag are the daemon's to turn into
attributes. Source: Docker's documentation of the json-file driver; texts seen on dockerd 28.5.
"""

from __future__ import annotations

import json
import os

from holdfast import errors
from holdfast.logs import archive, escape, lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_OPTIONS = frozenset(("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"))
_STREAMS = {1: b"stdout", 2: b"stderr"}
_UNITS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "t": 1000**4, "p": 1000**5}
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_OPEN = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
_MODE = 0o640
_HEAD = b'{"log":"'


def check(options: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist; values are looked at by `open_writer`, as in Docker."""
    for name in options:
        if name not in _OPTIONS:
            raise errors.InvalidArgument(f"unknown log opt '{name}' for json-file log driver")


def _limits(options: Mapping[str, str]) -> tuple[int, int, bool]:
    """Returns (bytes per file or 0, number of files, whether rotated files are compressed)."""
    max_bytes = _parse_size(options["max-size"]) if options.get("max-size") else 0
    try:
        max_files = int(options.get("max-file") or 1)
    except ValueError:
        raise errors.InvalidArgument(f'strconv.Atoi: parsing "{options["max-file"]}": invalid syntax') from None
    if max_files < 1:
        raise errors.InvalidArgument("max-file cannot be less than 1")
    compress = options.get("compress") or "false"
    if compress not in _TRUE and compress not in _FALSE:
        raise errors.InvalidArgument(f'strconv.ParseBool: parsing "{compress}": invalid syntax')
    is_compressed = compress in _TRUE
    if is_compressed and (max_files == 1 or not max_bytes):
        raise errors.InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")
    return max_bytes, max_files, is_compressed


def _parse_size(text: str) -> int:
    number = text.strip().lower().removesuffix("b").rstrip("i")
    unit = number[-1:] if number[-1:].isalpha() else ""
    try:
        size = int(float(number.removesuffix(unit)) * _UNITS[unit])
    except (ValueError, KeyError):
        size = -1
    if size < 0:
        raise errors.InvalidArgument(f"invalid size: '{text}'")
    if size == 0:
        raise errors.InvalidArgument("max-size must be a positive number")
    return size


def open_writer(path: str, options: Mapping[str, str], attributes: Mapping[str, str]) -> JsonFileWriter:
    """Opens (appends to) the log at `path`; raises InvalidArgument for the options, OSError for the file."""
    max_bytes, max_files, is_compressed = _limits(options)
    return JsonFileWriter(path, max_bytes, max_files, is_compressed, attributes)


class JsonFileWriter:
    """One container's file and its unfinished lines."""

    __slots__ = (
        "_attributes",
        "_clock",
        "_cutters",
        "_fd",
        "_is_compressed",
        "_max_bytes",
        "_max_files",
        "_path",
        "_size",
    )

    def __init__(
        self, path: str, max_bytes: int, max_files: int, is_compressed: bool, attributes: Mapping[str, str]
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_files = max_files
        self._is_compressed = is_compressed
        self._attributes = b""
        if attributes:
            text = json.dumps(dict(sorted(attributes.items())), separators=(",", ":"), ensure_ascii=False)
            self._attributes = b',"attrs":' + text.encode()
        self._clock = escape.Clock()
        self._cutters = {stream: lines.LineCutter() for stream in _STREAMS}
        self._fd = os.open(path, _OPEN, _MODE)
        self._size = os.fstat(self._fd).st_size

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Takes a piece of output; see `logs.driver.Writer`."""
        for run in self._cutters[stream].feed(data):
            self._write_run(stream, run, now)

    def close(self, now: int) -> None:
        """Writes unfinished lines and closes the file; see `logs.driver.Writer`."""
        if self._fd < 0:
            return
        for stream, cutter in self._cutters.items():
            tail = cutter.flush()
            if tail:
                self._write_run(stream, tail, now)
        os.close(self._fd)
        self._fd = -1

    def _write_run(self, stream: int, run: bytes, now: int) -> None:
        ending = b'","stream":"%s"%s,"time":"%s"}\n' % (_STREAMS[stream], self._attributes, self._clock.render(now))
        text = escape.escape(run)
        if text.endswith(b"\n"):
            ending = b"\\n" + ending
            text = text[:-1].replace(b"\n", ending + _HEAD)
        self._append(b"".join((_HEAD, text, ending)))

    def _append(self, entries: bytes) -> None:
        """Writes whole entries; a file that has reached its size is closed before the next entry, as Docker does."""
        while self._max_bytes and self._size + len(entries) > self._max_bytes:
            if self._size >= self._max_bytes:
                self._rotate()
                continue
            cut = entries.find(b"\n", self._max_bytes - self._size - 1) + 1
            self._append_whole(entries[:cut])
            entries = entries[cut:]
        if entries:
            self._append_whole(entries)

    def _append_whole(self, entries: bytes) -> None:
        try:
            written = os.write(self._fd, entries)
            while written < len(entries):
                written += os.write(self._fd, entries[written:])
        except OSError:  # the disk is full: no torn entry stays, and the container goes on
            os.ftruncate(self._fd, self._size)
            return
        self._size += len(entries)

    def _rotate(self) -> None:
        os.close(self._fd)
        archive.rotate(self._path, self._max_files, self._is_compressed)
        self._fd = os.open(self._path, _OPEN | os.O_TRUNC, _MODE)
        self._size = 0
