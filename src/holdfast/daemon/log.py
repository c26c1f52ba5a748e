# SPDX-License-Identifier: Apache-2.0
"""The daemon's own log on stderr: one record per line, `time=… level=… msg="…"` or JSON.

Line breaks and terminal escapes inside a message are escaped, so that nothing a client or an image says can forge a
record. Set up by `daemon.main`; everybody else uses `logging.getLogger("holdfast.…")`. Source: logrus' text format.
"""

from __future__ import annotations

import json
import logging
import sys
import time

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR, "fatal": 50}
_NAMES = {logging.DEBUG: "debug", logging.INFO: "info", logging.WARNING: "warning", logging.ERROR: "error", 50: "fatal"}


class Formatter(logging.Formatter):
    """Logfmt (`text`) or JSON lines (`json`)."""

    def __init__(self, style: str) -> None:
        super().__init__()
        self._is_json = style == "json"

    def format(self, record: logging.LogRecord) -> str:
        """One line without its newline."""
        second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        fields = {
            "time": f"{second}.{int(record.created % 1 * 1e9):09d}Z",
            "level": _NAMES.get(record.levelno, record.levelname.lower()),
            "msg": record.getMessage(),
            "module": record.name.removeprefix("holdfast."),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._is_json:
            return json.dumps(fields)
        return " ".join(f"{key}={_quoted(value)}" for key, value in fields.items())


def _quoted(value: str) -> str:
    if value and all(character.isalnum() or character in "-._/:@^+" for character in value) and value.isascii():
        return value
    return json.dumps(value)


def set_up(level: str, style: str) -> None:
    """Sends every record of the level and above to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter(style))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    logging.raiseExceptions = False
    set_level(level)


def set_level(level: str) -> None:
    """Changes the level; foreign libraries and asyncio never say more than warnings."""
    logging.getLogger().setLevel(max(_LEVELS[level], logging.WARNING))
    logging.getLogger("holdfast").setLevel(_LEVELS[level])
