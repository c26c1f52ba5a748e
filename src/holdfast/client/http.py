# SPDX-License-Identifier: Apache-2.0
"""A small HTTP/1.1 client over any connected socket: requests, chunked bodies, upgrades.

It speaks to an Engine API and nothing else: no redirects, no cookies, no proxies, no pooling. One `Connection` carries
one request at a time and is kept open between requests. `client.api` is its caller. Source: RFC 9112.
The CLI's start-up budget rules out `http.client` (27 ms of imports); this module imports nothing but the error types.
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Protocol

    class Stream(Protocol):
        """What a connection needs of a socket; `ssl.SSLSocket` and `ssh`'s pipe pair fit as well."""

        def recv(self, size: int, /) -> bytes: ...
        def sendall(self, data: bytes, /) -> None: ...
        def shutdown(self, how: int, /) -> None: ...
        def close(self) -> None: ...
        def fileno(self) -> int: ...


_READ_BYTES = 65536
_HEAD_LIMIT_BYTES = 65536


class Response:
    """Status, headers (names in lower case) and the body, which is read once: `read` or `chunks`."""

    __slots__ = ("_connection", "_done", "_length", "headers", "status")

    def __init__(self, connection: Connection, status: int, headers: dict[str, str], *, has_body: bool) -> None:
        self._connection = connection
        self.status = status
        self.headers = headers
        self._length: int | None = 0
        if has_body:
            chunked = headers.get("transfer-encoding", "").lower() == "chunked"
            length = headers.get("content-length")
            self._length = -1 if chunked else (int(length) if length is not None else None)
        self._done = self._length == 0

    def chunks(self) -> Iterator[bytes]:
        """Yields the body as it arrives; an early end of a chunked or counted body is an Unavailable error."""
        if self._done:
            return
        self._done = True
        connection = self._connection
        if self._length == -1:
            yield from connection.read_chunked()
        elif self._length is None:
            yield from connection.read_to_end()
        else:
            yield from connection.read_exactly(self._length)

    def read(self) -> bytes:
        """Returns the whole body."""
        return b"".join(self.chunks())


class Connection:
    """One connected stream and the bytes that were read from it ahead of their use."""

    def __init__(self, stream: Stream, host: str = "docker") -> None:
        self.stream = stream
        self._host = host
        self._ahead = b""

    def request(
        self,
        method: str,
        target: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | Iterable[bytes] | None = None,
    ) -> Response:
        """Sends one request and reads the response's head; an iterable body is sent in chunks."""
        lines = [f"{method} {target} HTTP/1.1", f"Host: {self._host}", "User-Agent: Holdfast-Client/0.1 (linux)"]
        if headers:
            lines.extend(f"{name}: {value}" for name, value in headers.items())
        try:
            if body is None or isinstance(body, bytes):
                data = body or b""
                if data or method == "POST":
                    lines.append(f"Content-Length: {len(data)}")
                self.stream.sendall("\r\n".join([*lines, "", ""]).encode() + data)
            else:
                lines.append("Transfer-Encoding: chunked")
                self.stream.sendall("\r\n".join([*lines, "", ""]).encode())
                for piece in body:
                    if piece:
                        self.stream.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
                self.stream.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            # The daemon may have answered and closed before it read the whole body: its answer is what counts.
            pass
        return self._read_head(method)

    def _read_head(self, method: str) -> Response:
        while True:
            head = self._read_until(b"\r\n\r\n")
            first, *rest = head.decode("latin-1").split("\r\n")
            version, _, status_text = first.partition(" ")
            status_digits = status_text[:3]
            if not version.startswith("HTTP/1.") or not status_digits.isdigit():
                raise errors.Unavailable(f"the daemon answered with something that is not HTTP: {first[:60]!r}")
            status = int(status_digits)
            headers: dict[str, str] = {}
            for line in rest:
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if status != 100:
                break
        has_body = method != "HEAD" and status not in (101, 204, 304)
        return Response(self, status, headers, has_body=has_body)

    def _fill(self) -> None:
        try:
            piece = self.stream.recv(_READ_BYTES)
        except OSError as error:
            raise errors.Unavailable(f"the connection to the daemon broke: {(error.strerror or '').lower()}") from error
        if not piece:
            raise errors.Unavailable("the daemon closed the connection before its answer was complete")
        self._ahead += piece

    def _read_until(self, mark: bytes) -> bytes:
        while mark not in self._ahead:
            if len(self._ahead) > _HEAD_LIMIT_BYTES:
                raise errors.Unavailable("the daemon's answer has no end of headers within 64 KiB")
            self._fill()
        taken, _, self._ahead = self._ahead.partition(mark)
        return taken

    def read_exactly(self, length: int) -> Iterator[bytes]:
        """Yields exactly `length` bytes in pieces as they come."""
        while length:
            if not self._ahead:
                self._fill()
            piece, self._ahead = self._ahead[:length], self._ahead[length:]
            length -= len(piece)
            yield piece

    def read_chunked(self) -> Iterator[bytes]:
        """Yields the data of a chunked body and swallows its trailer."""
        while True:
            size = int(self._read_until(b"\r\n").split(b";")[0], 16)
            if size == 0:
                while self._read_until(b"\r\n"):
                    pass
                return
            yield from self.read_exactly(size)
            self._read_until(b"\r\n")

    def read_to_end(self) -> Iterator[bytes]:
        """Yields whatever comes until the peer closes its side."""
        if self._ahead:
            yield self.take_ahead()
        while piece := self.stream.recv(_READ_BYTES):
            yield piece

    def take_ahead(self) -> bytes:
        """Hands over the bytes that were read beyond the head; after an upgrade the caller owns the stream."""
        ahead, self._ahead = self._ahead, b""
        return ahead

    def close(self) -> None:
        """Closes the stream; never raises."""
        try:
            self.stream.close()
        except OSError:
            pass
