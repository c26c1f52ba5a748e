# SPDX-License-Identifier: Apache-2.0
"""Writes one response onto a connection: the head with dockerd's headers, then bytes, chunks or a raw stream.

Called by `api.server` for what a route returned. Nothing here decides a status. Source: RFC 9112 sections 6 and 7.1,
Engine API v1.51 ContainerAttach "Hijacking".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Protocol, cast

import msgspec

from holdfast.api.http import RAW_STREAM, Empty, Hijack, Json, Raw, Request, Stream
from holdfast.errors import Unavailable
from holdfast.wire import http1

if TYPE_CHECKING:
    import socket

    from holdfast.transport.listener import AnyConnection

_LOG = logging.getLogger("holdfast.api")
_ENCODE = msgspec.json.Encoder().encode


class ServerHeaders:
    """The headers that every response carries; the date is rendered once a second."""

    def __init__(self, api_version: str, server: str) -> None:
        self._fixed = {"Api-Version": api_version, "Docker-Experimental": "false", "Ostype": "linux", "Server": server}
        self._second = 0
        self._date = ""

    def make(self) -> dict[str, str]:
        """A fresh dictionary to add to."""
        now = int(time.time())
        if now != self._second:
            self._second = now
            self._date = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(now))
        return {**self._fixed, "Date": self._date}


def write_whole(
    connection: AnyConnection, headers: dict[str, str], response: Json | Raw | Empty, *, is_head: bool, closes: bool
) -> None:
    """Writes a response whose body is known, with one send."""
    body = b""
    if isinstance(response, Json):
        body = _ENCODE(response.value) + b"\n"
        headers["Content-Type"] = "application/json"
    elif isinstance(response, Raw):
        body = response.data
        headers["Content-Type"] = response.content_type
    if response.headers:
        headers.update(response.headers)
    if response.status not in (204, 304):
        headers["Content-Length"] = str(len(body))
    if closes:
        headers["Connection"] = "close"
    head = http1.response_head(response.status, headers)
    connection.write(head if is_head else head + body)


async def write_stream(
    connection: AnyConnection,
    headers: dict[str, str],
    response: Stream,
    *,
    wait_hangup: Callable[[], Awaitable[None]],
    is_chunked: bool,
    closes: bool,
) -> None:
    """Writes the head at once and the chunks as they come; cancels the producer when the client hangs up.

    Unavailable when the client left; an error of the producer is logged and raised as Unavailable too, as the
    connection can only be cut.
    """
    headers["Content-Type"] = response.content_type
    if response.headers:
        headers.update(response.headers)
    if is_chunked:
        headers["Transfer-Encoding"] = "chunked"
    if closes:
        headers["Connection"] = "close"
    ready = http1.response_head(response.status, headers)
    if response.first:
        ready += http1.chunk(response.first) if is_chunked else response.first
    if response.chunks is None:
        connection.write(ready + http1.LAST_CHUNK if is_chunked else ready)
        await connection.drain()
        return
    connection.write(ready)
    pump = asyncio.ensure_future(_pump(connection, response.chunks, is_chunked))
    watcher = asyncio.ensure_future(wait_hangup())
    try:
        await asyncio.wait((pump, watcher), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watcher.cancel()
        pump.cancel()
        await asyncio.wait((pump,))
        with contextlib.suppress(Exception):
            await _close(response.chunks)
    if pump.cancelled():
        raise Unavailable("the client closed the connection")
    pump.result()


async def _pump(connection: AnyConnection, chunks: AsyncIterator[bytes], is_chunked: bool) -> None:
    try:
        async for data in chunks:
            if data:
                connection.write(http1.chunk(data) if is_chunked else data)
                await connection.drain()
    except Unavailable:
        raise
    except Exception as error:
        _LOG.exception("a stream failed after its head was sent")
        raise Unavailable("the stream failed") from error
    if is_chunked:
        connection.write(http1.LAST_CHUNK)


class _Closable(Protocol):
    async def aclose(self) -> None: ...


async def _close(chunks: AsyncIterator[bytes]) -> None:
    if hasattr(chunks, "aclose"):
        await cast("_Closable", chunks).aclose()


async def write_hijack(
    connection: AnyConnection, headers: Mapping[str, str], response: Hijack, request: Request, rest: bytes
) -> None:
    """Answers 101 or 200, then lets the route have the connection; `rest` are bytes that came with the request."""
    if request.wants_upgrade:
        upgrade = {"Connection": "Upgrade", "Upgrade": response.protocol}
        if response.protocol == "tcp":
            upgrade = {"Content-Type": response.content_type, **upgrade}
        head = http1.response_head(101, {**upgrade, **headers, **(response.headers or {})})
    else:
        head = http1.response_head(200, {"Content-Type": RAW_STREAM})
    connection.write(head)
    await connection.flush()
    if rest:
        connection.unread(rest)
    await response.serve(Hijacked(connection))


class Hijacked:
    """`http.HijackedConnection` over a transport connection."""

    __slots__ = ("_connection",)

    def __init__(self, connection: AnyConnection) -> None:
        self._connection = connection

    async def read(self, limit: int = 65536) -> bytes:
        return await self._connection.read(limit)

    async def write(self, data: bytes) -> None:
        self._connection.write(data)
        await self._connection.drain()

    async def write_eof(self) -> None:
        await self._connection.write_eof()

    def give_away(self) -> tuple[socket.socket, bytes]:
        return self._connection.give_away()
