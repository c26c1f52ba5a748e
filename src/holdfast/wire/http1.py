# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 for a server: requests out of bytes, response heads into bytes.

Strict, and nothing is ever guessed: folded headers, a second length or host, a length beside a transfer coding, any
coding but `chunked` are ProtocolErrors, and the connection ends after the answer. Only a line of a head may end with a
bare line feed, as people write requests by hand (`echo -e "GET /info HTTP/1.0\\r\\n" | nc -U`). Bytes behind a
request stay available, so that an upgraded stream loses none. h11 is the oracle of its tests; it was the parser first,
and took 60 of the 200 microseconds that an API call may cost, this takes 10. Driven by `api.server`.
Source: RFC 9112 (sections 2.2, 3, 5, 6, 7.1 and 11.2), RFC 9110 section 5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HEAD_LIMIT = 64 * 1024
CHUNK_LINE_LIMIT = 4096

REASONS = {
    101: "UPGRADED", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently",
    304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 411: "Length Required",
    413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable", 417: "Expectation Failed",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    505: "HTTP Version Not Supported", 507: "Insufficient Storage",
}  # fmt: skip


_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+) ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])\r?")
_HEADER = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r?")
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?")
_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_DIGITS = re.compile(r"[0-9]{1,18}")
_TLS_HANDSHAKE = b"\x16"
"""The first byte of a TLS client; it tries plain HTTP as soon as it sees an answer, and otherwise waits."""
_CR = 0x0D
_ONCE = frozenset(("host", "content-length", "transfer-encoding"))


class ProtocolError(Exception):
    """The peer broke HTTP; `status` is the answer it deserves, after which the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head:
    """One request's head; header names are lower case, repeated ones are joined with a comma."""

    __slots__ = (
        "expects_continue",
        "has_body",
        "headers",
        "is_chunked",
        "is_http10",
        "keeps_alive",
        "length",
        "method",
        "target",
    )

    def __init__(self, method: str, target: str, headers: dict[str, str], *, is_http10: bool) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.is_http10 = is_http10
        options = headers.get("connection", "").lower()
        self.keeps_alive = "keep-alive" in options if is_http10 else "close" not in options
        self.is_chunked, self.length = _framing(headers, is_http10)
        self.has_body = self.is_chunked or self.length > 0
        expected = headers.get("expect", "").lower()
        if expected not in ("", "100-continue"):
            raise ProtocolError(417, "nothing but 100-continue can be expected here")
        self.expects_continue = bool(expected) and self.has_body and not is_http10


class RequestReader:
    """The requests of one connection, one after the other: `feed`, `next_head`, `next_data` until `b""`, again."""

    def __init__(self, head_limit: int = HEAD_LIMIT) -> None:
        self._head_limit = head_limit
        self._buffer = bytearray()
        self._searched = 0
        self._has_ended = False
        self._left = 0
        """Bytes of the body, or of its current chunk, that are still to come."""
        self._in_chunks = False
        self._wants_chunk_end = self._in_trailers = False

    def feed(self, data: bytes) -> None:
        """Bytes from the peer; `b""` says that it closed its side."""
        if data:
            self._buffer += data
        else:
            self._has_ended = True

    @property
    def has_partial_head(self) -> bool:
        """True when a head has begun; meaningful between requests."""
        return bool(self._buffer)

    @property
    def body_is_over(self) -> bool:
        """True when the current request was read to its end."""
        return not self._left and not self._in_chunks

    def next_head(self) -> Head | None:
        """The next request's head, None when more bytes are needed. EOFError when the peer ended between requests."""
        buffer = self._buffer
        while buffer.startswith((b"\r\n", b"\n")):
            del buffer[: 1 + (buffer[0] == _CR)]
        end, length = self._find_end()
        if end < 0 or end > self._head_limit:
            self._check_partial()
            return None
        lines = bytes(buffer[:end]).split(b"\n")
        del buffer[: end + length]
        self._searched = 0
        head = _parse_head(lines)
        self._left, self._in_chunks = head.length, head.is_chunked
        return head

    def _find_end(self) -> tuple[int, int]:
        """Where the last line of the head ends, and how long the empty line behind it is with that line's feed."""
        start = max(0, self._searched - 2)
        end, bare = self._buffer.find(b"\n\r\n", start), self._buffer.find(b"\n\n", start)
        return (bare, 2) if bare >= 0 and not 0 <= end < bare else (end, 3)

    def _check_partial(self) -> None:
        if self._buffer.startswith(_TLS_HANDSHAKE):
            raise ProtocolError(400, "malformed HTTP request: this port does not speak TLS")
        self._searched = len(self._buffer)
        if self._searched > self._head_limit:
            raise ProtocolError(431, "malformed HTTP request: the head is too large")
        if self._has_ended:
            if not self._buffer:
                raise EOFError
            raise ProtocolError(400, "malformed HTTP request: it ends within its head")

    def next_data(self) -> bytes | None:
        """Bytes of the body, `b""` at its end, None when more bytes are needed."""
        while True:
            if self._left:
                if not self._buffer:
                    return self._need_more()
                data = bytes(self._buffer[: self._left])
                del self._buffer[: len(data)]
                self._left -= len(data)
                self._wants_chunk_end = self._in_chunks and not self._left
                return data
            if not self._in_chunks:
                return b""
            line = self._take_line()
            if line is None:
                return self._need_more()
            self._begin_chunk(line)

    def _begin_chunk(self, line: bytes) -> None:
        """Takes the line break after a chunk, the line before one, or the last one's trailers."""
        if self._wants_chunk_end:
            if line:
                raise ProtocolError(400, "malformed HTTP request: a chunk is longer than it says")
            self._wants_chunk_end = False
            return
        if self._in_trailers:
            if not line:
                self._in_trailers = self._in_chunks = False
            elif not _HEADER.fullmatch(line):
                raise ProtocolError(400, "malformed HTTP request: a trailer is wrong")
            return
        found = _CHUNK_LINE.fullmatch(line)
        if found is None:
            raise ProtocolError(400, "malformed HTTP request: a chunk's size is wrong")
        self._left = int(found[1], 16)
        self._in_trailers = not self._left

    def _take_line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, CHUNK_LINE_LIMIT)
        if end < 0:
            if len(self._buffer) >= CHUNK_LINE_LIMIT:
                raise ProtocolError(400, "malformed HTTP request: a line of the body's framing is too long")
            return None
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 2]
        return line

    def _need_more(self) -> None:
        if self._has_ended:
            raise ProtocolError(400, "malformed HTTP request: it ends within its body")

    def take_buffered(self) -> bytes:
        """Bytes of a body of declared length that came with the head; the rest may be read past this reader (`took`)."""
        data = bytes(self._buffer[: self._left])
        del self._buffer[: len(data)]
        self._left -= len(data)
        return data

    def took(self, count: int) -> None:
        """Notes that so many bytes of the body were read from the connection itself."""
        self._left -= count

    def take_rest(self) -> bytes:
        """The bytes that follow the request (the raw stream's first, after a hijack)."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


def _parse_head(lines: list[bytes]) -> Head:
    found = _REQUEST_LINE.fullmatch(lines[0])
    if found is None:
        raise ProtocolError(400, "malformed HTTP request: the request line is wrong")
    if found[3] != b"1" or found[4] > b"1":
        raise ProtocolError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise ProtocolError(400, "malformed HTTP request: a header is wrong")
        name, value = header[1].decode("ascii").lower(), header[2].decode("latin-1").rstrip(" \t")
        if name in headers:
            if name in _ONCE:
                raise ProtocolError(400, f"malformed HTTP request: two {name} headers")
            value = f"{headers[name]}, {value}"
        headers[name] = value
    is_http10 = found[4] == b"0"
    if not is_http10 and "host" not in headers:
        raise ProtocolError(400, "malformed HTTP request: no host header")
    return Head(found[1].decode("ascii"), _path(found[2].decode("ascii")), headers, is_http10=is_http10)


def _path(target: str) -> str:
    if target.startswith("http://"):
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") and target != "*":
        raise ProtocolError(400, "malformed HTTP request: the target is not a path")
    if "%" in target and _BROKEN_ESCAPE.search(target.partition("?")[0]):
        raise ProtocolError(400, "malformed HTTP request: the path has a broken percent escape")
    return target


def _framing(headers: Mapping[str, str], is_http10: bool) -> tuple[bool, int]:
    """Whether the body comes in chunks, else its length; RFC 9112 section 6.3, without its leniency."""
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if coding is not None:
        if length is not None or is_http10:
            raise ProtocolError(400, "malformed HTTP request: content-length and transfer-encoding together")
        if coding.lower() != "chunked":
            raise ProtocolError(501, "transfer codings other than chunked are not spoken here")
        return True, 0
    if length is None:
        return False, 0
    if not _DIGITS.fullmatch(length):
        raise ProtocolError(400, "malformed HTTP request: content-length is not a number")
    return False, int(length)


def response_head(status: int, headers: Mapping[str, str]) -> bytes:
    """The status line and headers, ready to send. ValueError for a value that would break the head."""
    lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Status')}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1 or "\0" in text:
        raise ValueError("a header contains a line break")
    return text.encode("latin-1") + b"\r\n\r\n"


CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body; the data must not be empty, as that would end the body."""
    return b"%x\r\n%b\r\n" % (len(data), data)
