# SPDX-License-Identifier: Apache-2.0
"""The loop of one API connection: a request in, its route's response out, again until somebody closes.

Joins `transport` (bytes), `wire.http1` (requests), the router and the routes. Holds the limits against slow and
oversized requests. One `Server` per daemon; `serve` is given to the listeners. Source: RFC 9112 section 9.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Generator
from typing import TYPE_CHECKING

import msgspec

from holdfast.api import errors, respond
from holdfast.api.http import Empty, Hijack, Peer, Request, Response, Stream
from holdfast.api.policy import HostPolicy
from holdfast.api.query import Query
from holdfast.api.router import Router, cleaned
from holdfast.errors import HoldfastError, Unavailable
from holdfast.transport.tls import TLSConnection
from holdfast.wire import http1

if TYPE_CHECKING:
    from holdfast.transport.listener import AnyConnection

_LOG = logging.getLogger("holdfast.api")


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much and how long a client may take; bodies are limited by their readers."""

    head_bytes: int = http1.HEAD_LIMIT
    head_seconds: float = 10.0
    idle_seconds: float = 600.0
    unread_body_bytes: int = 256 * 1024
    unread_body_seconds: float = 2.0
    lingering_bytes: int = 16 << 20


class BrokenBody(HoldfastError):
    """The body broke HTTP, or ended before its length."""

    http_status = 400


class Server:
    """Answers every connection with the router's routes; `requests` counts those that a route was found for."""

    def __init__(
        self, router: Router, headers: respond.ServerHeaders, *, policy: HostPolicy, limits: Limits | None = None
    ) -> None:
        self.router = router
        self.headers = headers
        self.policy = policy
        self.limits = limits or Limits()
        self.requests = 0
        self._busy = 0
        self._is_quiet = asyncio.Event()
        self._is_quiet.set()

    @contextlib.contextmanager
    def at_work(self) -> Generator[None]:
        """Counts a request whose route is deciding what to answer."""
        self.requests += 1
        self._busy += 1
        self._is_quiet.clear()
        try:
            yield
        finally:
            self._busy -= 1
            if not self._busy:
                self._is_quiet.set()

    async def wait_quiet(self, seconds: float) -> None:
        """Waits until no route is at work; streams and hijacked connections do not count."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._is_quiet.wait(), seconds)

    async def serve(self, connection: AnyConnection) -> None:
        """Runs one connection to its end; never raises for what the peer does."""
        try:
            await _Session(self, connection).run()
        except (Unavailable, OSError) as error:
            _LOG.debug("connection ended: %s", error)
        except Exception:  # noqa: BLE001 (a bug ends one connection, not the daemon)
            _LOG.exception("connection failed")
            connection.abort()


class _Session:
    """One connection's state: the reader of its requests, and the request under way."""

    def __init__(self, server: Server, connection: AnyConnection) -> None:
        self._server = server
        self._limits = server.limits
        self._connection = connection
        self._reader = http1.RequestReader(server.limits.head_bytes)
        self._peer = peer_of(connection)
        self._is_first = True

    async def run(self) -> None:
        while True:
            try:
                head = await self._next_head()
            except http1.ProtocolError as error:
                self._refuse(error.status, error.message)
                await self._discard_input()
                return
            if head is None or not await self._answer(head):
                return
            self._is_first = False

    async def _next_head(self) -> http1.Head | None:
        """The next request, None when the peer is done or idle too long; ProtocolError 408 when it is too slow."""
        loop = asyncio.get_running_loop()
        must_hurry = self._is_first and self._peer.transport != "unix"
        deadline = loop.time() + (self._limits.head_seconds if must_hurry else self._limits.idle_seconds)
        is_partial = False
        while True:
            try:
                head = self._reader.next_head()
            except EOFError:
                return None
            if head is not None:
                return head
            if self._reader.has_partial_head and not is_partial:
                is_partial = True
                deadline = loop.time() + self._limits.head_seconds
            try:
                async with asyncio.timeout_at(deadline):
                    self._reader.feed(await self._connection.read())
            except TimeoutError:
                if is_partial:
                    raise http1.ProtocolError(408, "the request's head did not arrive in time") from None
                return None

    async def _answer(self, head: http1.Head) -> bool:
        """Answers one request; True when the connection can take another."""
        body = _Body(self._reader, self._connection, head)
        request: Request | None = None
        try:
            self._server.policy.check(self._peer, head.headers)
            if head.method == "OPTIONS":
                response: Response = Empty(200)
            else:
                with self._server.at_work():
                    request, response = await self._route(head, body)
        except Exception as error:  # noqa: BLE001 (the one place where errors become answers)
            response = errors.response(error, what=f"{head.method} {head.target.partition('?')[0]}")
        return await self._send(head, body, request, response)

    async def _route(self, head: http1.Head, body: _Body) -> tuple[Request | None, Response]:
        path, mark, query = head.target.partition("?")
        if place := cleaned(path):
            return None, Empty(301, {"Location": place + mark + query})
        match = self._server.router.match(head.method, path)
        request = Request(
            method=head.method,
            path=match.path,
            params=match.params,
            query=Query(query),
            headers=head.headers,
            version=match.version,
            peer=self._peer,
            body=body,
        )
        response = await match.handler(request)
        if _LOG.isEnabledFor(logging.DEBUG):
            _LOG.debug("%s %s: %s", head.method, head.target, getattr(response, "status", 101))
        return request, response

    async def _send(self, head: http1.Head, body: _Body, request: Request | None, response: Response) -> bool:
        connection = self._connection
        headers = self._server.headers.make()
        if isinstance(response, Hijack):
            if request is None or not await self._finish_body(body):
                return False
            await respond.write_hijack(connection, headers, response, request, self._reader.take_rest())
            return False
        if isinstance(response, Stream):
            is_chunked = not head.is_http10
            await respond.write_stream(
                connection,
                headers,
                response,
                wait_hangup=body.wait_hangup,
                is_chunked=is_chunked,
                closes=not (is_chunked and head.keeps_alive),
            )
            return is_chunked and head.keeps_alive and await self._finish_body(body)
        unread = not self._reader.body_is_over
        closes = not head.keeps_alive or (unread and not body.is_short(self._limits.unread_body_bytes))
        if head.is_http10 and not closes:
            headers["Connection"] = "keep-alive"
        respond.write_whole(connection, headers, response, is_head=head.method == "HEAD", closes=closes)
        await connection.drain()
        if unread and (closes or not await self._finish_body(body)):
            await self._discard_input()
            return False
        return not closes

    async def _finish_body(self, body: _Body) -> bool:
        """Throws away what the route left of a body; False when it is too much or broken."""
        left = self._limits.unread_body_bytes
        try:
            async with asyncio.timeout(self._limits.unread_body_seconds):
                while not self._reader.body_is_over:
                    left -= len(await body.read_some())
                    if left < 0:
                        return False
        except (TimeoutError, HoldfastError):
            return False
        return True

    def _refuse(self, status: int, text: str) -> None:
        headers = self._server.headers.make()
        respond.write_whole(self._connection, headers, errors.message(status, text), is_head=False, closes=True)

    async def _discard_input(self) -> None:
        """Closes our side and reads on for a moment, so that the peer sees the answer and not a reset."""
        await self._connection.write_eof()
        left = self._limits.lingering_bytes
        try:
            async with asyncio.timeout(self._limits.unread_body_seconds):
                while left > 0 and (data := await self._connection.read()):
                    left -= len(data)
        except TimeoutError:
            return


class _Body:
    """`http.Body` of the request under way."""

    __slots__ = ("_connection", "_head", "_over", "_reader", "_wants_continue")

    def __init__(self, reader: http1.RequestReader, connection: AnyConnection, head: http1.Head) -> None:
        self._reader = reader
        self._connection = connection
        self._head = head
        self._wants_continue = head.expects_continue
        self._over: asyncio.Event | None = None

    @property
    def is_empty(self) -> bool:
        return not self._head.has_body

    def is_short(self, limit: int) -> bool:
        """True when the head promises at most `limit` bytes."""
        length = self._head.headers.get("content-length", "")
        return length.isdigit() and len(length) < 12 and int(length) <= limit and not self._wants_continue

    async def read_some(self) -> bytes:
        if self._wants_continue and not self._reader.body_is_over:
            self._wants_continue = False
            self._connection.write(http1.CONTINUE)
        try:
            while (data := self._reader.next_data()) is None:
                self._reader.feed(await self._connection.read())
        except http1.ProtocolError as error:
            raise BrokenBody(error.message) from None
        if not data and self._over is not None:
            self._over.set()
        return data

    async def wait_hangup(self) -> None:
        """Returns when the client has left; while a body is still being read, its reader will notice."""
        if not self._reader.body_is_over:
            self._over = asyncio.Event()
            await self._over.wait()
        await self._connection.wait_hangup()


def peer_of(connection: AnyConnection) -> Peer:
    """Who is at the other end, from the socket."""
    sock = connection.socket
    if sock.family == socket.AF_UNIX:
        pid, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        return Peer(transport="unix", uid=uid, pid=pid)
    try:
        address = str(sock.getpeername()[0])
    except OSError:
        address = ""
    return Peer(transport="tls" if isinstance(connection, TLSConnection) else "tcp", address=address)
