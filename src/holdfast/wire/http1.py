# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 for a server: requests out of bytes, response heads into bytes.

Reading is h11 with three rules on top: a length together with a transfer coding is refused, so is a target that is not
a path, and the head has a size limit. Nothing is ever guessed: any doubt is a ProtocolError, and the connection ends
after its answer. Bytes behind a request stay available, so that an upgraded stream loses none. Driven by `api.server`.
Source: RFC 9110, RFC 9112 sections 6.1 and 11.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import h11

HEAD_LIMIT = 64 * 1024

REASONS = {
    101: "UPGRADED", 200: "OK", 201: "Created", 202: "Accepted", 204: "No Content", 301: "Moved Permanently",
    304: "Not Modified", 400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
    405: "Method Not Allowed", 408: "Request Timeout", 409: "Conflict", 411: "Length Required",
    413: "Request Entity Too Large", 416: "Requested Range Not Satisfiable", 417: "Expectation Failed",
    429: "Too Many Requests", 431: "Request Header Fields Too Large", 500: "Internal Server Error",
    501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable", 504: "Gateway Timeout",
    505: "HTTP Version Not Supported", 507: "Insufficient Storage",
}  # fmt: skip


class ProtocolError(Exception):
    """The peer broke HTTP; `status` is the answer it deserves, after which the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Head:
    """One request's head; header names are lower case, repeated ones are joined with a comma."""

    __slots__ = ("expects_continue", "has_body", "headers", "is_http10", "keeps_alive", "method", "target")

    def __init__(self, method: str, target: str, headers: dict[str, str], *, is_http10: bool) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.is_http10 = is_http10
        options = headers.get("connection", "").lower()
        self.keeps_alive = "keep-alive" in options if is_http10 else "close" not in options
        self.has_body = "transfer-encoding" in headers or headers.get("content-length", "0") != "0"
        self.expects_continue = not is_http10 and headers.get("expect", "").lower() == "100-continue"


class RequestReader:
    """The requests of one connection, one after the other: `feed`, `next_head`, `next_data` until `b""`, again."""

    def __init__(self, head_limit: int = HEAD_LIMIT) -> None:
        self._head_limit = head_limit
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=head_limit)
        self._body_is_over = True
        self.has_partial_head = False

    def feed(self, data: bytes) -> None:
        """Bytes from the peer; `b""` says that it closed its side."""
        self._machine.receive_data(data)

    def next_head(self) -> Head | None:
        """The next request's head, None when more bytes are needed. EOFError when the peer ended between requests."""
        event = self._next_event()
        if event is h11.NEED_DATA:
            self.has_partial_head = bool(self._machine.trailing_data[0].strip(b"\r\n"))
            return None
        if not isinstance(event, h11.Request):
            raise EOFError
        self.has_partial_head = False
        head = _head(event)
        self._body_is_over = False
        if not head.has_body:
            self._end_body(self._next_event())
        return head

    def next_data(self) -> bytes | None:
        """Bytes of the body, `b""` at its end, None when more bytes are needed."""
        while not self._body_is_over:
            event = self._next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Data):
                if event.data:
                    return bytes(event.data)
            else:
                self._end_body(event)
        return b""

    @property
    def body_is_over(self) -> bool:
        """True when the current request was read to its end."""
        return self._body_is_over

    def take_rest(self) -> bytes:
        """The bytes that follow the request (the raw stream's first, after a hijack); feeding ends with this."""
        return bytes(self._machine.trailing_data[0])

    def next_request(self) -> None:
        """Goes on to the request behind this one, whose body must be over."""
        rest, is_closed = self._machine.trailing_data
        self._machine = h11.Connection(h11.SERVER, max_incomplete_event_size=self._head_limit)
        if rest:
            self._machine.receive_data(bytes(rest))
        if is_closed:
            self._machine.receive_data(b"")

    def _end_body(self, event: object) -> None:
        if not isinstance(event, h11.EndOfMessage):
            raise ProtocolError(400, "malformed request")
        self._body_is_over = True

    def _next_event(self) -> object:
        try:
            return cast("object", self._machine.next_event())
        except h11.RemoteProtocolError as error:
            raise ProtocolError(error.error_status_hint, f"malformed HTTP request: {error}") from None


def _head(event: h11.Request) -> Head:
    headers: dict[str, str] = {}
    for raw_name, raw_value in event.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    if "transfer-encoding" in headers and ("content-length" in headers or event.http_version == b"1.0"):
        raise ProtocolError(400, "malformed HTTP request: content-length and transfer-encoding together")
    target = event.target.decode("ascii")
    if target.startswith("http://"):
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") and target != "*":
        raise ProtocolError(400, "malformed HTTP request: the target is not a path")
    return Head(event.method.decode("ascii"), target, headers, is_http10=event.http_version == b"1.0")


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
