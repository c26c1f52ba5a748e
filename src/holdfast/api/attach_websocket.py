# SPDX-License-Identifier: Apache-2.0
"""A container's streams over a websocket: the handshake, and the relay between frames and the shim's socket.

A shim speaks raw bytes to a client's own socket; frames need this process in between, so such a client leaves with the
daemon. Called by `api.routes.container_streams`. Source: RFC 6455 section 4.2, Engine API v1.51 ContainerAttachWebsocket.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING

from holdfast.api.http import HijackedConnection, Request
from holdfast.errors import InvalidArgument, Unavailable

if TYPE_CHECKING:
    from holdfast.wire.websocket import WebSocket

_CHUNK = 65536
_BINARY_SINCE = (1, 28)


def handshake(request: Request) -> dict[str, str]:
    """The headers that accept the upgrade; InvalidArgument for a request that is none."""
    from holdfast.wire import websocket  # 50 ms, for the few who want it

    headers = request.headers
    key = headers.get("sec-websocket-key", "")
    is_upgrade = (
        headers.get("upgrade", "").lower() == "websocket" and "upgrade" in headers.get("connection", "").lower()
    )
    if not is_upgrade or not key:
        raise InvalidArgument("not websocket protocol: the request must upgrade to a websocket and have a key")
    if headers.get("sec-websocket-version") != websocket.VERSION:
        raise InvalidArgument(f"missing or bad WebSocket Version: Holdfast speaks version {websocket.VERSION}")
    return {"Sec-WebSocket-Accept": websocket.accept(key)}


def open_socket(request: Request) -> WebSocket:
    """The codec for this client: binary messages since API 1.28, text before."""
    from holdfast.wire import websocket

    return websocket.WebSocket(is_binary=request.version >= _BINARY_SINCE)


async def relay(connection: HijackedConnection, frames: WebSocket, ours: socket.socket) -> None:
    """Carries bytes both ways until either side ends; closes the socket."""
    ours.setblocking(False)
    outward = asyncio.ensure_future(_carry_out(connection, frames, ours))
    inward = asyncio.ensure_future(_carry_in(connection, frames, ours))
    try:
        done, _ = await asyncio.wait((outward, inward), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except (OSError, Unavailable):  # the client, or the container, has gone
        return
    finally:
        for task in (outward, inward):
            task.cancel()
        await asyncio.wait((outward, inward))
        ours.close()


async def _carry_out(connection: HijackedConnection, frames: WebSocket, ours: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(ours, _CHUNK):
        await connection.write(frames.encode(data))
    await connection.write(frames.close())


async def _carry_in(connection: HijackedConnection, frames: WebSocket, ours: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    while not frames.is_closed:
        data = await connection.read(_CHUNK)
        payload = frames.receive(data)
        if frames.replies:
            replies, frames.replies = frames.replies, b""
            await connection.write(replies)
        if payload:
            with contextlib.suppress(OSError):  # nobody reads its input any more; its output may go on
                await loop.sock_sendall(ours, payload)
        if not data:
            return
