# SPDX-License-Identifier: Apache-2.0
"""Shows a stream of progress messages: one line per layer rewritten in place on a terminal, plain lines elsewhere.

Source: Engine API v1.51 ImageCreate (JSON messages with status, id, progressDetail, error).
"""

from __future__ import annotations

import os
import sys
import time

from holdfast import errors
from holdfast.cli import table, units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_REDRAW_SECONDS = 0.1
_BAR_WIDTH = 50


def show(messages: Iterable[dict[str, Any]], *, quiet: bool = False) -> None:
    """Consumes the stream; raises the error that it carries."""
    display = _Quiet() if quiet else (_Terminal() if os.isatty(1) else _Lines())
    for message in messages:
        detail: dict[str, str] = message.get("errorDetail") or {}
        error = message.get("error") or detail.get("message")
        if error:
            display.close()
            raise errors.Internal(str(error))
        if "aux" not in message:
            display.put(message)
    display.close()


class _Quiet:
    def put(self, message: dict[str, Any]) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Nothing to finish."""


class _Lines:
    """Not a terminal: every change of state once, no bars."""

    def put(self, message: dict[str, Any]) -> None:
        """Prints the message unless it only moves a bar."""
        if message.get("stream"):
            sys.stdout.write(table.printable(message["stream"]))
            return
        detail: dict[str, int] = message.get("progressDetail") or {}
        if detail.get("current"):
            return
        status = table.printable(str(message.get("status", "")))
        print(f"{message['id']}: {status}" if message.get("id") else status, flush=True)

    def close(self) -> None:
        """Nothing to finish."""


class _Terminal:
    """Rewrites one line per id; lines without an id scroll above nothing, as Docker prints them."""

    def __init__(self) -> None:
        self._rows: dict[str, str] = {}
        self._dirty: set[str] = set()
        self._drawn_at = 0.0
        self._height = 0

    def put(self, message: dict[str, Any]) -> None:
        """Takes one message in; draws at most ten times a second."""
        identity = message.get("id")
        if message.get("stream"):
            self._flush()
            sys.stdout.write(table.printable(message["stream"]))
            return
        status = table.printable(str(message.get("status", "")))
        if not identity or "progressDetail" not in message:
            self._flush()
            print(f"{identity}: {status}" if identity else status)
            self._rows.clear()
            self._height = 0
            return
        self._rows[identity] = f"{identity}: {status}{_bar(message['progressDetail'] or {})}"
        self._dirty.add(identity)
        if time.monotonic() - self._drawn_at > _REDRAW_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if not self._dirty:
            return
        width = os.get_terminal_size(1).columns or 80
        if self._height:
            sys.stdout.write(f"\x1b[{self._height}A")
        sys.stdout.write("".join(f"\x1b[2K{row[: width - 1]}\n" for row in self._rows.values()))
        sys.stdout.flush()
        self._height = len(self._rows)
        self._dirty.clear()
        self._drawn_at = time.monotonic()

    def close(self) -> None:
        """Draws what is still undrawn."""
        self._flush()


def _bar(detail: dict[str, Any]) -> str:
    current, total = detail.get("current", 0), detail.get("total", 0)
    if not current:
        return ""
    if not total or current > total:
        return f" {units.human_size(current, 4)}"
    filled = int(_BAR_WIDTH * current / total)
    bar = "=" * filled + (">" if filled < _BAR_WIDTH else "") + " " * (_BAR_WIDTH - filled - 1)
    return f" [{bar}] {units.human_size(current)}/{units.human_size(total)}"
