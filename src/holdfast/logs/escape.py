# SPDX-License-Identifier: Apache-2.0
"""Writes text and times as Docker's json-file driver writes them, byte for byte (sans-IO, boot path).

Docker escapes `"` `\\` and newline with a backslash, other control characters, `<`, `>` and `&` as \\u00xx, the line
separators U+2028 and U+2029, and each byte that is not UTF-8 as \\ufffd. Times are RFC 3339 in UTC without trailing
zeros. Seen on dockerd 28.5; the cost is a few passes in C over a piece, whatever the number of lines.
"""

from __future__ import annotations

import time

_TWO_LETTERS = {0x0A: b"\\n", 0x0D: b"\\r", 0x22: b'\\"', 0x5C: b"\\\\"}
_ESCAPED = (0x5C, *(code for code in range(0x20) if code != 0x0A), 0x22, 0x26, 0x3C, 0x3E)  # the backslash is first
_REPLACEMENTS = tuple((bytes([code]), _TWO_LETTERS.get(code, b"\\u%04x" % code)) for code in _ESCAPED)
_HARMLESS = bytes(code for code in range(256) if code not in _ESCAPED)
_NOT_UTF8 = {0xDC00 + byte: "\\ufffd" for byte in range(0x80, 0x100)}


def escape(text: bytes) -> bytes:
    """Returns text as the inside of a JSON string; newlines are left as they are, for the caller to treat."""
    present = text.translate(None, _HARMLESS)
    if present:
        for character, replacement in _REPLACEMENTS:
            if character in present:
                text = text.replace(character, replacement)
    return text if text.isascii() else _escape_unicode(text)


def _escape_unicode(text: bytes) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError:
        text = text.decode("utf-8", "surrogateescape").translate(_NOT_UTF8).encode()
    if b"\xe2\x80" in text:
        text = text.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return text


class Clock:
    """Renders times; remembers the last second, because the next piece is mostly of the same one."""

    __slots__ = ("_second", "_text")

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def render(self, nanos: int) -> bytes:
        """Returns nanoseconds since the epoch as `2026-11-21T01:02:03.4Z`."""
        second, fraction = divmod(nanos, 1_000_000_000)
        if second != self._second:
            self._text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = second
        if not fraction:
            return f"{self._text}Z".encode()
        return f"{self._text}.{f'{fraction:09d}'.rstrip('0')}Z".encode()
