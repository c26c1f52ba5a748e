# SPDX-License-Identifier: Apache-2.0
"""One plain stream connection: read, write, half-close, and giving the socket away.

An asyncio protocol with a small pull interface. Received bytes wait in a buffer of bounded size (reading pauses above
it); writes go straight to the kernel and `drain` waits while the peer is slow. Knows no HTTP. Made by
`transport.listener`, driven by `api.server`; `transport.tls` wraps it with the same interface.
"""

from __future__ import annotations

import asyncio
import socket
from typing import cast

from holdfast.errors import Unavailable

BUFFER_LIMIT = 256 * 1024
READ_SIZE = 64 * 1024


class Connection(asyncio.Protocol):
    """The daemon's end of one accepted stream; one reader task and one writer task at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)
        self._buffer = bytearray()
        self._reader: asyncio.Future[None] | None = None
        self._writers: list[asyncio.Future[None]] = []
        self._hangup: asyncio.Future[None] | None = None
        self._paused_reading = self._paused_writing = False
        self._eof = self._lost = False

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) > BUFFER_LIMIT and not self._paused_reading:
            self._paused_reading = True
            self._transport.pause_reading()
        self._wake_reader()

    def eof_received(self) -> bool:
        self._eof = True
        self._wake_reader()
        self._announce_hangup()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._eof = self._lost = True
        self._wake_reader()
        self._announce_hangup()
        self.resume_writing()

    def pause_writing(self) -> None:
        self._paused_writing = True

    def resume_writing(self) -> None:
        self._paused_writing = False
        for writer in self._writers:
            if not writer.done():
                writer.set_result(None)
        self._writers.clear()

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _announce_hangup(self) -> None:
        if self._hangup is not None and not self._hangup.done():
            self._hangup.set_result(None)

    # our side

    @property
    def socket(self) -> socket.socket:
        """The socket below, for its peer's credentials and address only."""
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    @property
    def is_lost(self) -> bool:
        """True once nothing can be sent any more."""
        return self._lost or self._transport.is_closing()

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """Up to `limit` bytes as soon as there are some; `b""` when the peer closed its side or is gone."""
        while not self._buffer:
            if self._eof:
                return b""
            self._reader = self._loop.create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        return self.read_nowait(limit)

    def read_nowait(self, limit: int = READ_SIZE) -> bytes:
        """What has already been received, up to `limit` bytes; `b""` when that is nothing."""
        data = bytes(self._buffer[:limit])
        del self._buffer[:limit]
        if self._paused_reading and len(self._buffer) <= BUFFER_LIMIT // 2:
            self._paused_reading = False
            if not self._lost:
                self._transport.resume_reading()
        return data

    def unread(self, data: bytes) -> None:
        """Puts bytes back in front of what `read` gives next."""
        self._buffer[:0] = data

    def write(self, data: bytes) -> None:
        """Queues bytes; they are usually in the kernel when this returns. Bytes for a lost peer are dropped."""
        if not self.is_lost:
            self._transport.write(data)

    async def drain(self) -> None:
        """Waits while too much is queued; Unavailable when the peer is gone."""
        if self.is_lost:
            raise Unavailable("the client closed the connection")
        if self._paused_writing:
            writer = self._loop.create_future()
            self._writers.append(writer)
            await writer
            if self.is_lost:
                raise Unavailable("the client closed the connection")

    async def flush(self) -> None:
        """Waits until every queued byte is in the kernel; Unavailable when the peer is gone."""
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
            try:
                await self.drain()
            finally:
                self._transport.set_write_buffer_limits()
        else:
            await self.drain()

    async def write_eof(self) -> None:
        """Closes our side after what is queued; the peer may go on sending."""
        if not self.is_lost and self._transport.can_write_eof():
            self._transport.write_eof()

    async def wait_hangup(self) -> None:
        """Returns when the peer closed its side or is gone; unread bytes do not matter."""
        if not self._eof:
            if self._hangup is None or self._hangup.done():
                self._hangup = self._loop.create_future()
            await asyncio.shield(self._hangup)

    def close(self) -> None:
        """Closes after what is queued was sent; idempotent."""
        self._transport.close()

    def abort(self) -> None:
        """Closes at once and drops what is queued; idempotent."""
        self._transport.abort()

    def give_away(self) -> tuple[socket.socket, bytes]:
        """A duplicate of the socket and the bytes already received; this object is closed afterwards.

        Call `flush` first: queued bytes would be lost. The socket keeps its state (no shutdown is sent).
        """
        if self.is_lost:
            raise Unavailable("the client closed the connection")
        duplicate = self.socket.dup()
        duplicate.setblocking(False)
        pending = bytes(self._buffer)
        self._buffer.clear()
        self._transport.abort()
        return duplicate, pending
