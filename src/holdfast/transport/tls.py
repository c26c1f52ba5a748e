# SPDX-License-Identifier: Apache-2.0
"""TLS over a `Connection`, with half-close.

asyncio's own TLS answers the peer's close_notify with its shutdown, so the output of `echo hi | docker --tls run -i` is
lost; OpenSSL itself can go on writing. This drives an `ssl.SSLObject` by hand. Same interface as `Connection`;
`give_away` hands out one end of a socketpair and relays. Source: ssl(3), RFC 8446 section 6.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl

from holdfast.errors import Unavailable
from holdfast.transport.connection import READ_SIZE, Connection

_PLAIN_ANSWER = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


class TLSConnection:
    """The server's end of one TLS stream; the handshake happens at the first read."""

    def __init__(self, inner: Connection, context: ssl.SSLContext) -> None:
        self._inner = inner
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._pushed_back = b""
        self._is_ready = False
        self._eof = False
        self._relay: asyncio.Task[None] | None = None

    @property
    def socket(self) -> socket.socket:
        """The socket below, for its peer's address only."""
        return self._inner.socket

    @property
    def is_lost(self) -> bool:
        """True once nothing can be sent any more."""
        return self._inner.is_lost

    async def handshake(self) -> None:
        """Completes the handshake; Unavailable when the peer refuses or leaves."""
        while not self._is_ready:
            try:
                self._object.do_handshake()
                self._is_ready = True
            except ssl.SSLWantReadError:
                await self._feed()
            except ssl.SSLError as error:
                self._send()
                if error.reason == "HTTP_REQUEST":
                    self._inner.write(_PLAIN_ANSWER)
                raise Unavailable(f"TLS handshake failed: {error.reason or error}") from error
            self._send()

    async def _feed(self) -> None:
        self._send()
        data = await self._inner.read()
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _send(self) -> None:
        if self._outgoing.pending:
            self._inner.write(self._outgoing.read())

    async def read(self, limit: int = READ_SIZE) -> bytes:
        """Up to `limit` decrypted bytes; `b""` after the peer's close_notify or its end. Writing stays possible."""
        if self._pushed_back:
            data, self._pushed_back = self._pushed_back[:limit], self._pushed_back[limit:]
            return data
        if not self._is_ready:
            await self.handshake()
        while not self._eof:
            try:
                data = self._object.read(limit)
                self._send()
            except ssl.SSLWantReadError:
                await self._feed()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                self._eof = True
            except ssl.SSLError as error:
                self._eof = True
                raise Unavailable(f"TLS error: {error.reason or error}") from error
            else:
                if data:
                    return data
                self._eof = True
        return b""

    def unread(self, data: bytes) -> None:
        """Puts bytes back in front of what `read` gives next."""
        self._pushed_back = data + self._pushed_back

    def write(self, data: bytes) -> None:
        """Encrypts and queues bytes; bytes for a lost peer are dropped."""
        if not self.is_lost and data:
            self._object.write(data)
            self._send()

    async def drain(self) -> None:
        """Waits while too much is queued; Unavailable when the peer is gone."""
        await self._inner.drain()

    async def flush(self) -> None:
        """Waits until every queued byte is in the kernel."""
        await self._inner.flush()

    async def write_eof(self) -> None:
        """Sends close_notify and closes our side; the peer may go on sending."""
        with contextlib.suppress(ssl.SSLError):
            self._object.unwrap()
        self._send()
        await self._inner.write_eof()

    async def wait_hangup(self) -> None:
        """Returns when the peer closed its side or is gone. Decrypts meanwhile, as close_notify is inside."""
        while not self._eof and not self._inner.is_lost:
            if len(self._pushed_back) > READ_SIZE:
                await self._inner.wait_hangup()
                return
            try:
                data = self._object.read(READ_SIZE)
            except ssl.SSLWantReadError:
                await self._feed()
            except (ssl.SSLError, OSError):
                return
            else:
                if not data:
                    return
                self._pushed_back += data

    def close(self) -> None:
        """Says close_notify when it can, and closes after what is queued was sent; idempotent."""
        if self._relay is not None:
            return
        if self._is_ready and not self.is_lost:
            with contextlib.suppress(ssl.SSLError):
                self._object.unwrap()
            self._send()
        self._inner.close()

    def abort(self) -> None:
        """Closes at once and drops what is queued; idempotent."""
        self._inner.abort()

    def give_away(self) -> tuple[socket.socket, bytes]:
        """One end of a socketpair that a task relays to and from the peer, and the bytes already received."""
        if self.is_lost:
            raise Unavailable("the client closed the connection")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        theirs.setblocking(False)
        pending, self._pushed_back = self._pushed_back, b""
        self._relay = asyncio.get_running_loop().create_task(self._run_relay(ours))
        return theirs, pending

    async def _run_relay(self, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        inward = loop.create_task(self._relay_in(loop, ours))
        try:
            while data := await loop.sock_recv(ours, READ_SIZE):
                self.write(data)
                await self.drain()
            await self.write_eof()
            await inward
        except (OSError, Unavailable):
            pass
        finally:
            inward.cancel()
            ours.close()
            self._relay = None
            self.close()

    async def _relay_in(self, loop: asyncio.AbstractEventLoop, ours: socket.socket) -> None:
        with contextlib.suppress(OSError, Unavailable):
            while data := await self.read():
                await loop.sock_sendall(ours, data)
        with contextlib.suppress(OSError):
            ours.shutdown(socket.SHUT_WR)
