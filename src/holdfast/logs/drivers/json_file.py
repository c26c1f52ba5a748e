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

from holdfast import errors
from holdfast.logs import archive, escape, options, policy
from holdfast.logs.file_writer import FileWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdfast.logs.driver import Target

_OPTIONS = ("max-file", "max-size", "compress")
_STREAMS = {1: b"stdout", 2: b"stderr"}
_HEAD = b'{"log":"'


def check(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist; values are looked at by `open_writer`, as in Docker."""
    options.refuse_unknown(given, _OPTIONS, "json-file log driver")


def _limits(given: Mapping[str, str]) -> tuple[int, int, bool]:
    """Returns (bytes per file or 0, number of files, whether rotated files are compressed)."""
    max_bytes = options.size(given["max-size"]) if given.get("max-size") else 0
    if given.get("max-size") and not max_bytes:
        raise errors.InvalidArgument("max-size must be a positive number")
    max_files = options.integer(given.get("max-file") or "1")
    if max_files < 1:
        raise errors.InvalidArgument("max-file cannot be less than 1")
    is_compressed = options.boolean(given.get("compress") or "false")
    if is_compressed and (max_files == 1 or not max_bytes):
        raise errors.InvalidArgument("compress cannot be true when max-file is less than 2 or max-size is not set")
    return max_bytes, max_files, is_compressed


def open_writer(target: Target) -> FileWriter:
    """Opens (appends to) the log; raises InvalidArgument for the options, OSError for the file."""
    limits = _limits(policy.drivers_own(target["options"]))
    return FileWriter(archive.RotatingFile(target["path"], *limits), JsonLines(target["attributes"]))


class JsonLines:
    """Lines as Docker's objects."""

    __slots__ = ("_attributes", "_clock")

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self._attributes = b""
        if attributes:
            text = json.dumps(dict(sorted(attributes.items())), separators=(",", ":"), ensure_ascii=False)
            self._attributes = b',"attrs":' + text.encode()
        self._clock = escape.Clock()

    def put(self, file: archive.RotatingFile, stream: int, run: bytes, now: int) -> None:
        """Writes a run's lines, all with one time."""
        ending = b'","stream":"%s"%s,"time":"%s"}\n' % (_STREAMS[stream], self._attributes, self._clock.render(now))
        text = escape.escape(run)
        if text.endswith(b"\n"):
            ending = b"\\n" + ending
            text = text[:-1].replace(b"\n", ending + _HEAD)
        _append(file, b"".join((_HEAD, text, ending)))


def _append(file: archive.RotatingFile, entries: bytes) -> None:
    """Writes whole entries; a file that has reached its size is closed before the next entry, as Docker does."""
    while entries:
        room = file.room()
        if room < 0 or room >= len(entries):
            file.append(entries)
            return
        cut = entries.find(b"\n", room - 1) + 1
        file.append(entries[:cut])
        entries = entries[cut:]
