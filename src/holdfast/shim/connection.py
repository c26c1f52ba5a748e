# SPDX-License-Identifier: Apache-2.0
"""One `Channel` on the daemon's loop: requests wait for their replies, events queue up until somebody reads them.

Used by `client` only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast import errors
from holdfast.shim import birth
from holdfast.shim.channel import Channel


class Connection:
    """Owns a channel from its making on; belongs to the running loop."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._loop = asyncio.get_running_loop()
        self._replies: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next_id = 1
        self._events: deque[dict[str, Any]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._is_open = True
        self._loop.add_reader(channel.fileno(), self._receive)

    async def ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> dict[str, Any]:
        """Sends a request, waits for its reply, raises the error that it carries; Unavailable when the shim is gone."""
        number = self._next_id
        self._next_id += 1
        reply = self._loop.create_future()
        self._replies[number] = reply
        try:
            await self._send({**request, "id": number}, fds)
            return await reply
        finally:
            self._replies.pop(number, None)

    def tell(self, request: Mapping[str, Any]) -> bool:
        """Sends a request that has no reply; False when a peer that is gone or busy does not hear it."""
        if not self._is_open:
            return False
        try:
            self._channel.send(dict(request))
        except OSError:
            return False
        return True

    async def next_event(self) -> dict[str, Any] | None:
        """Waits for the next event; None when there will be no more. One reader at a time."""
        while not self._events:
            if not self._is_open:
                return None
            self._reader = self._loop.create_future()
            await self._reader
        return self._events.popleft()

    @property
    def has_news(self) -> bool:
        """Whether an event waits for its reader."""
        return bool(self._events)

    def take_in(self) -> None:
        """Reads what has come already, without waiting for the loop to say so."""
        if self._is_open:
            self._receive()

    def close(self) -> None:
        """Hangs up; idempotent."""
        if not self._is_open:
            return
        self._is_open = False
        self._loop.remove_reader(self._channel.fileno())
        self._channel.close()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(errors.Unavailable("the shim is gone"))
        self._wake_reader()

    async def _send(self, message: dict[str, Any], fds: Sequence[int]) -> None:
        while self._is_open:
            try:
                self._channel.send(message, fds)
            except BlockingIOError:
                await self._wait_writable()
            except OSError:
                self.close()
            else:
                return
        raise errors.Unavailable("the shim is gone")

    async def _wait_writable(self) -> None:
        ready = self._loop.create_future()
        fd = self._channel.fileno()
        self._loop.add_writer(fd, lambda: ready.done() or ready.set_result(None))
        try:
            await ready
        finally:
            self._loop.remove_writer(fd)

    def _receive(self) -> None:
        while self._is_open:
            try:
                received = self._channel.receive()
            except BlockingIOError:
                return
            except errors.Corrupt:
                received = None
            if received is None:
                self.close()
                return
            message = received[0]
            if "event" in message:
                self._events.append(message)
                self._wake_reader()
                continue
            reply = self._replies.get(message.get("re", 0))
            if reply is None or reply.done():
                continue
            if "error" in message:
                reply.set_exception(birth.error_of(message["error"]))
            else:
                reply.set_result(message)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
