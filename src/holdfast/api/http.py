# SPDX-License-Identifier: Apache-2.0
"""What a route sees of HTTP: the request it gets and the kinds of response it may return.

No socket and no byte of HTTP here: `api.server` makes the requests and writes the responses. Read by every module of
`api.routes`. Source: Engine API v1.51; moby's `httputils` for the texts.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from holdfast.api import decode
from holdfast.api.query import Query
from holdfast.errors import HoldfastError, InvalidArgument

if TYPE_CHECKING:
    import socket

JSON_BODY_LIMIT = 4 << 20
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"

T = TypeVar("T")


class BodyTooLarge(HoldfastError):
    """The body is longer than this route reads."""

    http_status = 413


class Body(Protocol):
    """Where the bytes of one request's body come from."""

    @property
    def is_empty(self) -> bool:
        """True when the head already says that there is no body."""
        ...

    async def read_some(self) -> bytes:
        """The next bytes, `b""` at the end."""
        ...


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """Who is at the other end: `transport` is unix, tcp or tls; uid and pid are known on unix sockets only."""

    transport: str
    address: str = ""
    uid: int | None = None
    pid: int | None = None


class Request:
    """One request after routing; `path` is without the version, `params` are the decoded parts of the pattern."""

    __slots__ = ("_body", "headers", "method", "params", "path", "peer", "query", "version")

    def __init__(
        self,
        *,
        method: str,
        path: str,
        params: dict[str, str],
        query: Query,
        headers: Mapping[str, str],
        version: tuple[int, int],
        peer: Peer,
        body: Body,
    ) -> None:
        self.method = method
        self.path = path
        self.params = params
        self.query = query
        self.headers = headers
        self.version = version
        self.peer = peer
        self._body = body

    @property
    def wants_upgrade(self) -> bool:
        """True when the client asked for `Upgrade:`, so that a hijack answers 101."""
        return "upgrade" in self.headers

    def stream_content_type(self, tty: bool) -> str:
        """The type of an attach, exec or log stream: multiplexed since API 1.42 when there is no terminal."""
        return RAW_STREAM if tty or self.version < (1, 42) else MULTIPLEXED_STREAM

    async def body(self) -> AsyncIterator[bytes]:
        """The body as it arrives, without a limit; for archives. One iteration only."""
        while data := await self._body.read_some():
            yield data

    async def read(self, limit: int = JSON_BODY_LIMIT) -> bytes:
        """The whole body; BodyTooLarge (413) above the limit, before more than the limit is kept."""
        if self._body.is_empty:
            return b""
        first = await self._body.read_some()
        parts, size = [first], len(first)
        while size <= limit and (data := await self._body.read_some()):
            parts.append(data)
            size += len(data)
        if size > limit:
            raise BodyTooLarge(f"request body is larger than {limit} bytes")
        return first if len(parts) == 1 else b"".join(parts)

    async def json(self, kind: type[T], *, may_be_empty: bool = True, limit: int = JSON_BODY_LIMIT) -> T:
        """The body as a msgspec struct, read as Go would (`api.decode`); InvalidArgument with Docker's texts.

        No body is the struct's zero value, unless `may_be_empty` is false (container create); one of spaces is not.
        """
        self.check_content_type()
        data = await self.read(limit)
        if not data.strip():
            if may_be_empty and self._body.is_empty:
                return kind()
            raise InvalidArgument("invalid JSON: got EOF while reading request body")
        return decode.decode(data, kind)

    def check_content_type(self) -> None:
        """InvalidArgument for a body that is not said to be JSON."""
        given = self.headers.get("content-type", "")
        if given == "application/json" or (not given and self._body.is_empty):
            return
        if not given.strip():
            raise InvalidArgument(f"malformed Content-Type header ({given}): mime: no media type")
        if given.partition(";")[0].strip().lower() != "application/json":
            raise InvalidArgument(f"unsupported Content-Type header ({given}): must be 'application/json'")


class HijackedConnection(Protocol):
    """The raw connection after the response head of a `Hijack`: bytes both ways, each way closable on its own."""

    async def read(self, limit: int = 65536) -> bytes:
        """Up to `limit` bytes (those sent with the request first), `b""` once the client closed its side."""
        ...

    async def write(self, data: bytes) -> None:
        """Send, waiting while the client is slow; Unavailable when it is gone."""
        ...

    async def write_eof(self) -> None:
        """Close our side only; reading goes on."""
        ...

    def give_away(self) -> tuple[socket.socket, bytes]:
        """A stream socket that speaks raw to the client, and the bytes already received from it.

        A plain connection gives the client's own socket (a duplicate; ours is closed), so the stream outlives the
        daemon; TLS gives one end of a socketpair that this process relays. The caller closes the socket.
        """
        ...


class Json(msgspec.Struct, frozen=True):
    """An object as JSON, encoded with msgspec, with Docker's newline at the end."""

    value: object
    status: int = 200
    headers: Mapping[str, str] | None = None


class Raw(msgspec.Struct, frozen=True):
    """Bytes that are ready to send: plain texts, or JSON that was encoded before (end it with a newline)."""

    data: bytes
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] | None = None


class Empty(msgspec.Struct, frozen=True):
    """A status without a body: 204 (done), 304 (already so), 200 for HEAD."""

    status: int = 204
    headers: Mapping[str, str] | None = None


class Stream(msgspec.Struct, frozen=True):
    """The head at once, with `first`, then every chunk as it comes, flushed one by one, waiting while the client is slow.

    Without `chunks` that is all, in one send, in chunks nevertheless: docker-py reads nothing else as a stream.

    When the client leaves, the iterator is cancelled where it waits (asyncio.CancelledError) and closed. An error
    after the head cannot change the status: it is logged and the connection is cut.
    """

    chunks: AsyncIterator[bytes] | None
    content_type: str = "application/json"
    status: int = 200
    headers: Mapping[str, str] | None = None
    first: bytes = b""


class Hijack(msgspec.Struct, frozen=True):
    """Turns the connection into a raw stream: 101 UPGRADED when the client asked for an upgrade, else 200.

    `protocol` is what the connection speaks from then on; another one than tcp has no content type.

    `serve` runs after the head was sent; the connection is closed when it returns, unless it was given away.
    """

    serve: Callable[[HijackedConnection], Awaitable[None]]
    content_type: str = RAW_STREAM
    headers: Mapping[str, str] | None = None
    protocol: str = "tcp"


Response = Json | Raw | Empty | Stream | Hijack
