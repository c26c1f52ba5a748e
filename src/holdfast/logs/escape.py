# SPDX-License-Identifier: Apache-2.0
"""Writes text and times as Docker's json-file driver writes them, byte for byte (sans-IO, boot path).

Docker escapes `"` `\\` and newline with a backslash, other control characters, `<`, `>` and `&` as \\u00xx, the line
separators U+2028 and U+2029, and each byte that is not UTF-8 as \\ufffd. Times are RFC 3339 in UTC without trailing
zeros. Seen on dockerd 28.5; the cost is a few passes in C over a piece, whatever the number of lines.
"""

from __future__ import annotations

import time
from json.encoder import encode_basestring

_TWO_LETTERS = {0x0A: b"\\n", 0x0D: b"\\r", 0x22: b'\\"', 0x5C: b"\\\\"}
_ESCAPED = (0x5C, *(code for code in range(0x20) if code != 0x0A), 0x22, 0x26, 0x3C, 0x3E)  # the backslash is first
_REPLACEMENTS = tuple((bytes([code]), _TWO_LETTERS.get(code, b"\\u%04x" % code)) for code in _ESCAPED)
_HARMLESS = bytes(code for code in range(256) if code not in _ESCAPED)
_DENSE = 8
"""From so many different characters to escape on, output is binary, and another way is the quicker one."""
_BACKSLASH = "\ud800"  # stands for a backslash while the encoder adds its own; no decoded text can contain it
_DOCKERS = (("\\n", "\n"), ("\\t", "\\u0009"), ("\\b", "\\u0008"), ("\\f", "\\u000c"))
_HTML = ((b"<", b"\\u003c"), (b">", b"\\u003e"), (b"&", b"\\u0026"))


def escape(text: bytes) -> bytes:
    """Returns text as the inside of a JSON string; newlines are left as they are, for the caller to treat."""
    present = text.translate(None, _HARMLESS)
    if present:
        if len(frozenset(present)) > _DENSE:
            return _escape_binary(text)
        for character, replacement in _REPLACEMENTS:
            if character in present:
                text = text.replace(character, replacement)
    return text if text.isascii() else _escape_unicode(text)


def _escape_unicode(text: bytes) -> bytes:
    try:
        text.decode()
    except UnicodeDecodeError:  # control characters are escaped, so \x01 is free to stand for the real question marks
        marked = text.replace(b"?", b"\x01").decode("utf-8", "surrogateescape").encode("utf-8", "replace")
        text = marked.replace(b"?", b"\\ufffd").replace(b"\x01", b"?")
    return _escape_separators(text)


def _escape_binary(text: bytes) -> bytes:
    """The same for text full of control characters: the JSON encoder in C takes them all in one pass."""
    encoded = encode_basestring(text.decode("utf-8", "surrogateescape").replace("\\", _BACKSLASH))[1:-1]
    for theirs, dockers in _DOCKERS:
        encoded = encoded.replace(theirs, dockers)
    marked = encoded.replace("?", "\x01").replace(_BACKSLASH, "\x02").encode("utf-8", "replace")
    text = marked.replace(b"?", b"\\ufffd").replace(b"\x01", b"?").replace(b"\x02", b"\\\\")
    for character, replacement in _HTML:
        text = text.replace(character, replacement)
    return _escape_separators(text)


def _escape_separators(text: bytes) -> bytes:
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
