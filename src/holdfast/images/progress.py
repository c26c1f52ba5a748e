# SPDX-License-Identifier: Apache-2.0
"""What an image operation tells while it runs: Docker's JSON messages as dicts, without the drawn bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Progress = Callable[[dict[str, Any]], None]
STEP_BYTES = 512 << 10


def silent(message: dict[str, Any]) -> None:
    """A `Progress` for callers that show nothing."""


def stream(text: str) -> dict[str, Any]:
    """A line of output."""
    return {"stream": f"{text}\n"}


def counted(text: str, identifier: str, current: int, total: int) -> dict[str, Any]:
    """How far one layer is."""
    return {"status": text, "progressDetail": {"current": current, "total": total}, "id": identifier}


class Meter:
    """Reports a count once for every half megabyte, and at the end."""

    def __init__(self, progress: Progress, text: str, identifier: str, total: int) -> None:
        self._progress = progress
        self._text = text
        self._identifier = identifier
        self._total = total
        self._last = -STEP_BYTES

    def __call__(self, count: int) -> None:
        if count - self._last >= STEP_BYTES or count == self._total:
            self._last = count
            self._progress(counted(self._text, self._identifier, count, self._total))
