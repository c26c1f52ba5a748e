# SPDX-License-Identifier: Apache-2.0
"""One client's connection, in a thread of its own: requests in, answers out, files by sendfile(2).

Holds the limits against slow and greedy clients: a head has seconds, a body a lowest speed. TLS sockets are sent to in
pieces, as the kernel cannot encrypt for us. Driven by `registry.server`. Source: RFC 9112; sendfile(2).
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from collections.abc import Iterator
from typing import NamedTuple

from holdfast.errors import Unavailable
from holdfast.registry.http import Answer, FileSpan, Stream
from holdfast.registry.refusals import Refusal
from holdfast.wire import http1

RECEIVE_BYTES = 1 << 20
_HEAD_RECEIVE_BYTES = 16 << 10
_TLS_SEND_BYTES = 256 << 10
_LINGER_SECONDS = 1.0
_LINGER_BYTES = 8 << 20


class Limits(NamedTuple):
    """How long a client may take."""

    head_seconds: float = 10.0
    idle_seconds: float = 60.0
    body_grace_seconds: float = 30.0
    body_bytes_per_second: int = 1024
    send_seconds: float = 60.0


class Gone(Unavailable):
    """The client left, or was too slow."""


class Connection:
    """A connected socket; one thread uses it, another may only `shut` it."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self._socket = sock
        self._limits = limits
        self._reader = http1.RequestReader()
        self._is_tls = isinstance(sock, ssl.SSLSocket)
        self.is_idle = True

    def next_head(self) -> http1.Head | None:
        """The next request's head; None when the client is done or idle too long. ProtocolError for a bad one."""
        self.is_idle = True
        deadline = time.monotonic() + self._limits.idle_seconds
        while True:
            try:
                head = self._reader.next_head()
            except EOFError:
                return None
            if head is not None:
                self.is_idle = False
                return head
            if self.is_idle and self._reader.has_partial_head:
                self.is_idle = False
                deadline = time.monotonic() + self._limits.head_seconds
            try:
                self._reader.feed(self._receive(deadline))
            except Gone:
                if self._reader.has_partial_head:
                    raise http1.ProtocolError(408, "the request's head did not arrive in time") from None
                return None

    def _receive(self, deadline: float) -> bytes:
        left = deadline - time.monotonic()
        if left <= 0:
            raise Gone("the client is too slow")
        self._socket.settimeout(left)
        try:
            return self._socket.recv(_HEAD_RECEIVE_BYTES)
        except OSError as error:
            raise Gone("the client is gone or too slow") from error

    def body(self, head: http1.Head) -> ReceivedBody:
        """The body of the request whose head was just read."""
        return ReceivedBody(self._socket, self._reader, head, self._limits)

    def send(self, head: http1.Head, answer: Answer, *, closes: bool) -> None:
        """Writes an answer; Gone when the client does not take it."""
        body = answer.body
        length = len(body) if isinstance(body, bytes) else body.length
        headers = dict(answer.headers)
        if answer.status not in (204, 304):
            headers.setdefault("Content-Length", str(length))
        if closes:
            headers["Connection"] = "close"
        raw = http1.response_head(answer.status, headers)
        has_body = head.method != "HEAD" and answer.status not in (204, 304)
        self._socket.settimeout(self._limits.send_seconds)
        try:
            if isinstance(body, FileSpan):
                try:
                    self._send_file(raw, body if has_body else None)
                finally:
                    os.close(body.fd)
            elif isinstance(body, Stream):
                self._socket.sendall(raw)
                if has_body:
                    self._send_stream(body)
            else:
                self._socket.sendall(raw + body if has_body else raw)
        except OSError as error:
            raise Gone("the client is gone or too slow") from error

    def _send_file(self, raw: bytes, span: FileSpan | None) -> None:
        if span is None or not span.length:
            self._socket.sendall(raw)
            return
        if self._is_tls:
            self._socket.sendall(raw)
            offset, end = span.offset, span.offset + span.length
            while offset < end:
                data = os.pread(span.fd, min(_TLS_SEND_BYTES, end - offset), offset)
                if not data:
                    raise Gone("a blob became shorter while it was sent")
                self._socket.sendall(data)
                offset += len(data)
            return
        self._socket.sendall(raw, socket.MSG_MORE)
        self._sendfile(span)

    def _sendfile(self, span: FileSpan) -> None:
        """Blocking in the kernel with the send time-out of the socket, so that no poll is needed between calls."""
        self._socket.settimeout(None)
        seconds = int(self._limits.send_seconds)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds.to_bytes(8, "little") + bytes(8))
        offset, left = span.offset, span.length
        out = self._socket.fileno()
        while left:
            sent = os.sendfile(out, span.fd, offset, left)
            if not sent:
                raise Gone("a blob became shorter while it was sent")
            offset += sent
            left -= sent

    def _send_stream(self, stream: Stream) -> None:
        left = stream.length
        for piece in stream.pieces:
            left -= len(piece)
            self._socket.sendall(piece)
        if left:
            raise Gone("the bytes from upstream ended early")

    def say_continue(self) -> None:
        """Tells a client that waits with its body to send it."""
        with contextlib.suppress(OSError):
            self._socket.sendall(http1.CONTINUE)

    def linger(self) -> None:
        """Closes our side and reads on for a moment, so that the client sees the answer and not a reset."""
        deadline = time.monotonic() + _LINGER_SECONDS
        left = _LINGER_BYTES
        with contextlib.suppress(OSError, Gone):
            if not self._is_tls:
                self._socket.shutdown(socket.SHUT_WR)
            while left > 0 and (data := self._receive(deadline)):
                left -= len(data)

    def shut(self) -> None:
        """Wakes the connection's thread with an end of its input; from any thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Closes the socket; idempotent."""
        with contextlib.suppress(OSError):
            self._socket.close()


class ReceivedBody:
    """`http.Body` of the request under way."""

    def __init__(self, sock: socket.socket, reader: http1.RequestReader, head: http1.Head, limits: Limits) -> None:
        self._socket = sock
        self._reader = reader
        self._head = head
        self._limits = limits
        self._wants_continue = head.expects_continue
        self._left = head.length
        self._began = time.monotonic()
        self._received = 0

    @property
    def length(self) -> int | None:
        """The declared length; None when it comes in chunks."""
        return None if self._head.is_chunked else self._head.length

    @property
    def is_over(self) -> bool:
        """True when everything was read."""
        return self._reader.body_is_over

    def pieces(self) -> Iterator[memoryview]:
        """The bytes as they come; each piece is valid until the next."""
        if self._wants_continue:
            self._wants_continue = False
            self._socket.sendall(http1.CONTINUE)
        if self._head.is_chunked:
            yield from self._chunked()
            return
        while (data := self._reader.take_buffered()) and self._left:
            self._left -= len(data)
            yield memoryview(data)
        buffer = memoryview(bytearray(min(RECEIVE_BYTES, self._left))) if self._left else memoryview(b"")
        while self._left:
            self._be_patient()
            try:
                count = self._socket.recv_into(buffer[: min(len(buffer), self._left)])
            except OSError as error:
                raise Gone("the client is gone or too slow") from error
            if not count:
                raise Gone("the request ended within its body")
            self._reader.took(count)
            self._left -= count
            self._received += count
            yield buffer[:count]

    def _chunked(self) -> Iterator[memoryview]:
        while True:
            try:
                data = self._reader.next_data()
            except http1.ProtocolError as error:
                raise Refusal("BLOB_UPLOAD_INVALID", error.message) from None
            if data is None:
                self._be_patient()
                try:
                    received = self._socket.recv(RECEIVE_BYTES)
                except OSError as error:
                    raise Gone("the client is gone or too slow") from error
                if not received:
                    raise Gone("the request ended within its body")
                self._received += len(received)
                self._reader.feed(received)
            elif data:
                yield memoryview(data)
            else:
                return

    def _be_patient(self) -> None:
        """The time that the next bytes may take: a grace, and more for whoever has sent much."""
        earned = self._received / self._limits.body_bytes_per_second
        left = self._began + self._limits.body_grace_seconds + earned - time.monotonic()
        if left <= 0:
            raise Gone("the client is too slow")
        self._socket.settimeout(min(left, self._limits.body_grace_seconds))

    def read(self, limit: int) -> bytes:
        """The whole body; Refusal (413) above the limit."""
        if self.length is not None and self.length > limit:
            raise Refusal("SIZE_INVALID", f"the body is larger than {limit} bytes", status=413)
        whole = bytearray()
        for piece in self.pieces():
            whole += piece
            if len(whole) > limit:
                raise Refusal("SIZE_INVALID", f"the body is larger than {limit} bytes", status=413)
        return bytes(whole)

    def discard(self, limit: int) -> bool:
        """Reads on to the body's end and throws it away; false when it is too much or does not come."""
        if self._wants_continue or (self.length or 0) > limit:
            return False
        read = 0
        try:
            for piece in self.pieces():
                read += len(piece)
                if read > limit:
                    return False
        except (Gone, Refusal):
            return False
        return True
