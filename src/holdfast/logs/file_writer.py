# SPDX-License-Identifier: Apache-2.0
"""Output cut into lines and written to rotating files: what the drivers `json_file` and `local` have in common.

What an entry looks like is the driver's (`Entries`). Boot path.
"""

from __future__ import annotations

from holdfast.logs import lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from holdfast.logs.archive import RotatingFile
    from holdfast.logs.driver import Poll

    class Entries(Protocol):
        """How whole lines become bytes of a file, which may end within them."""

        def put(self, file: RotatingFile, stream: int, run: bytes, now: int) -> None: ...


class FileWriter:
    """One container's file and its unfinished lines; see `logs.driver.Writer`."""

    __slots__ = ("_cutters", "_entries", "_file")

    is_full = False
    is_busy = False

    def __init__(self, file: RotatingFile, entries: Entries) -> None:
        self._file = file
        self._entries = entries
        self._cutters = {stream: lines.LineCutter() for stream in (1, 2)}

    def watch(self, poll: Poll, on_room: Callable[[], None]) -> None:
        """Is never full, so it has nothing to tell."""

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Takes a piece of output."""
        for run in self._cutters[stream].feed(data):
            self._entries.put(self._file, stream, run, now)

    def close(self, now: int) -> None:
        """Writes unfinished lines and closes the file."""
        if not self._file.is_open:
            return
        for stream, cutter in self._cutters.items():
            tail = cutter.flush()
            if tail:
                self._entries.put(self._file, stream, tail, now)
        self._file.close()
