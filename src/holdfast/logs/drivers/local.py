# SPDX-License-Identifier: Apache-2.0
"""The compact driver: records in files that rotate at 20 MB, five of them, old ones compressed, unless told otherwise.

It also keeps the readable copy for drivers that cannot be read (`logs.policy`). A piece of output costs one header and
one write(2), whatever its number of lines; nothing is escaped. Compressing costs the container about 10 ms per MB at
each rotation. A full disk drops records, never half of one.
Options: max-size, max-file, compress. Source: Docker's documentation of the local driver; texts of dockerd 28.5.
"""

from __future__ import annotations

import json
import os

from holdfast import errors
from holdfast.logs import archive, options, policy, records
from holdfast.logs.file_writer import FileWriter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.logs.driver import Target

_OPTIONS = ("max-file", "max-size", "compress")
_MAX_BYTES = 20 * 1024 * 1024
_MAX_FILES = 5
_MOST_ATTRIBUTES = 0xFFFF


def check(given: Mapping[str, str]) -> None:
    """Raises InvalidArgument for an option that does not exist; values are looked at by `open_writer`, as in Docker."""
    options.refuse_unknown(given, _OPTIONS, "log driver local")


def open_writer(target: Target) -> FileWriter:
    """Opens (appends to) the log; raises InvalidArgument for the options, OSError for the file."""
    limits = _limits(policy.drivers_own(target["options"]))
    os.makedirs(os.path.dirname(target["path"]), 0o700, exist_ok=True)
    return FileWriter(archive.RotatingFile(target["path"], *limits), Records(target["attributes"]))


def open_cache(target: Target) -> FileWriter:
    """Opens the readable copy of a log that goes elsewhere."""
    limits = _limits(policy.cache_options(target["options"]))
    return FileWriter(archive.RotatingFile(target["cache_path"], *limits), Records(target["attributes"]))


def _limits(given: Mapping[str, str]) -> tuple[int, int, bool]:
    """Returns (bytes per file or 0, number of files, whether rotated files are compressed)."""
    max_bytes, max_files, is_compressed = _MAX_BYTES, _MAX_FILES, True
    if "max-size" in given:
        max_bytes = _parse("max-size", given["max-size"], options.size)
    if "max-file" in given:
        max_files = _parse("max-file", given["max-file"], options.integer)
    if "compress" in given:
        try:
            is_compressed = options.boolean(given["compress"])
        except errors.InvalidArgument as error:
            raise errors.InvalidArgument(f"error reading compress log option: {error.message}") from None
    if max_files < 0:
        raise errors.InvalidArgument("max-file must not be negative")
    if is_compressed and max_files <= 1:
        raise errors.InvalidArgument("compression cannot be enabled when max file count is 1")
    return max_bytes, max_files, is_compressed


def _parse(name: str, value: str, parse: Callable[[str], int]) -> int:
    try:
        return parse(value)
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"invalid value for {name}: {value}: {error.message}") from None


class Records:
    """Runs of lines as records that are not escaped."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: Mapping[str, str]) -> None:
        self._attributes = b""
        if attributes:
            text = json.dumps(dict(sorted(attributes.items())), separators=(",", ":")).encode()
            self._attributes = text if len(text) <= _MOST_ATTRIBUTES else b""

    def put(self, file: archive.RotatingFile, stream: int, run: bytes, now: int) -> None:
        """Writes a run as one record, or as several where a file ends within it."""
        overhead = records.OVERHEAD + len(self._attributes)
        while run:
            room = file.room()
            cut = len(run)
            if 0 <= room < overhead + len(run):
                cut = run.find(b"\n", max(room - overhead - 1, 0)) + 1 or len(run)
            file.append(records.pack(stream, run[:cut], now, self._attributes))
            run = run[cut:]
