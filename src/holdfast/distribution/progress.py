# SPDX-License-Identifier: Apache-2.0
"""The JSON messages of a pull, in Docker's words and with Docker's progress bar.

Pure, except that `Meter` counts time given to it. A message is a dict in the order of Docker's members; rendering it
as a line is the API's affair. Called by `distribution` (pull, push) and by the image jobs of `engine`.
Source: what dockerd 28.5 prints (tests/distribution/data), moby `jsonmessage` for the layout of the bar.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
Progress = Callable[[Message], None]

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BAR_WIDTH = 50
_REPORT_BYTES = 512 * 1024
_REPORT_SECONDS = 0.1


def silent(message: Message) -> None:
    """A `Progress` for callers that show nothing."""


def status(text: str, identifier: str = "") -> Message:
    """A line about the whole operation: `{"status": …}`, with an id when there is one."""
    return {"status": text, "id": identifier} if identifier else {"status": text}


def layer(text: str, identifier: str) -> Message:
    """A line about one layer that carries no numbers."""
    return {"status": text, "progressDetail": {}, "id": identifier}


def counted(text: str, identifier: str, current: int, total: int) -> Message:
    """A line about one layer with its bytes and the bar that the CLI draws."""
    detail = {"current": current, "total": total} if total > 0 else {"current": current}
    return {"status": text, "progressDetail": detail, "progress": bar(current, total), "id": identifier}


def failure(message: str) -> Message:
    """The last line of a stream whose head said 200 before the job failed."""
    return {"errorDetail": {"message": message}, "error": message}


def bar(current: int, total: int) -> str:
    """`[=====>      ]  5.1MB/42.44MB`, for a total of 0 the count alone."""
    if current <= 0 and total <= 0:
        return ""
    have = human_size(current)
    if total <= 0:
        return f"{have:>8}"
    filled = min(_BAR_WIDTH, int(current / total * 100) // 2)
    box = f"[{'=' * filled}>{' ' * (_BAR_WIDTH - filled)}] "
    return box + (f"{have:>8}" if current > total else f"{have:>8}/{human_size(total)}")


def human_size(size: float) -> str:
    """Four significant digits and a decimal unit, as Go's `%.4g` writes them: 971B, 2.13MB, 42.44MB."""
    index = 0
    while size >= 1000.0 and index < len(_UNITS) - 1:
        size /= 1000.0
        index += 1
    return f"{size:.4g}{_UNITS[index]}"


class Meter:
    """Decides when a count is worth a message: each percent (at most 512 KiB), ten times a second, and the end."""

    __slots__ = ("_identifier", "_last_bytes", "_last_seconds", "_progress", "_step", "_text", "_total")

    def __init__(self, progress: Progress, text: str, identifier: str, total: int) -> None:
        self._progress = progress
        self._text = text
        self._identifier = identifier
        self._total = total
        self._step = min(_REPORT_BYTES, total // 100) if total > 0 else _REPORT_BYTES
        self._last_bytes = -1
        self._last_seconds = float("-inf")

    def report(self, current: int, now: float) -> None:
        """Tells of `current` bytes at the monotonic time `now`, or says nothing."""
        is_last = current == self._total
        if current == self._last_bytes or (not is_last and current - self._last_bytes <= self._step):
            return
        if not is_last and now - self._last_seconds < _REPORT_SECONDS:
            return
        self._last_bytes, self._last_seconds = current, now
        self._progress(counted(self._text, self._identifier, current, self._total))
