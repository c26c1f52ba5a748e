# SPDX-License-Identifier: Apache-2.0
"""Docker's progress stream: one JSON object and CR LF per message.

Used by the routes that pull, push, load, import and build. Source: Engine API v1.51 ImageCreate, moby `streamformatter`.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

_ENCODER = msgspec.json.Encoder()


def encode(message: Mapping[str, object]) -> bytes:
    """One message: status, id, progressDetail, progress, stream, aux, errorDetail, error."""
    return _ENCODER.encode(message) + b"\r\n"


def error(text: str, code: int | None = None) -> bytes:
    """The message that ends a failed operation; clients take it as the command's error."""
    detail: dict[str, object] = {"message": text} if code is None else {"code": code, "message": text}
    return encode({"errorDetail": detail, "error": text})


def bar(current: int, total: int, unit_bytes: bool = True) -> str:
    """The text form of a progress, as Docker's daemon sends it: `[==>   ]  1.2MB/3.4MB`."""
    if current <= 0 and total <= 0:
        return ""
    now = human_size(current) if unit_bytes else str(current)
    if total <= 0:
        return f"{now:>8}"
    percent = min(100, current * 100 // total) // 2
    arrow = "=" * percent + ">" + " " * (50 - percent)
    end = human_size(total) if unit_bytes else str(total)
    numbers = f"{now:>8}/{end}" if current <= total else f"{now:>8}"
    return f"[{arrow}] {numbers}"


def human_size(size: float) -> str:
    """Decimal units with four significant digits, as Docker prints sizes: `1.234MB`."""
    for unit in ("B", "kB", "MB", "GB", "TB", "PB"):
        if size < 1000 or unit == "PB":
            return f"{size:.4g}{unit}"
        size /= 1000
    raise AssertionError
