# SPDX-License-Identifier: Apache-2.0
"""Keeps one `spawner` process alive for the daemon: starts it, sends it launches, starts another when it dies.

Used by `client` only. The containers of a dead spawner are unaffected: their shims depend on nobody.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import Any

from holdfast import errors
from holdfast.kernel import spawn
from holdfast.shim.channel import Channel

_MODULE = "holdfast.shim.spawner"
_ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_RESPAWN_SECONDS = 1.0
_NEWS_SECONDS = 0.2
_BUSY_SECONDS = 0.002


class ForkServer:
    """The process and our end of its socket. `generation` counts the processes there have been."""

    def __init__(self, births_fd: int) -> None:
        self._births_fd = births_fd
        self._loop = asyncio.get_running_loop()
        self._channel: Channel | None = None
        self._pidfd = -1
        self._life = asyncio.Event()
        self._death = asyncio.Event()
        self._born_at = 0.0
        self._is_closing = False
        self.pid = 0
        self.generation = 0

    def start(self) -> None:
        """Starts a process; posix_spawn, a millisecond. Raises Unavailable when there can be none."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            try:
                self.pid, self._pidfd = spawn.spawn(_MODULE, [theirs.fileno(), self._births_fd], _ENVIRONMENT)
            except OSError as error:
                ours.close()
                raise errors.Unavailable(f"cannot start the spawner: {error.strerror}") from None
        self._channel = Channel(ours)
        self.generation += 1
        self._death.clear()
        self._life.set()
        self._born_at = self._loop.time()
        self._loop.add_reader(self._pidfd, self._on_death)

    async def send(self, request: Mapping[str, Any], fds: Sequence[int]) -> None:
        """Hands a launch over; waits while the process is busy or being replaced."""
        while not self._is_closing:
            await self._life.wait()
            if self._channel is None:
                continue
            try:
                self._channel.send(dict(request), fds)
            except BlockingIOError:  # dozens of launches wait there already
                await asyncio.sleep(_BUSY_SECONDS)
            except OSError:
                if not await self.has_died(self.generation):
                    raise errors.Unavailable("the spawner does not answer") from None
            else:
                return
        raise errors.Unavailable("the spawner is closed")

    async def has_died(self, generation: int) -> bool:
        """Whether the process of that generation is dead; waits a moment for the news, then for its successor."""
        if generation == self.generation:
            try:
                await asyncio.wait_for(self._death.wait(), _NEWS_SECONDS)
            except TimeoutError:
                return False
        await self._life.wait()
        return True

    async def close(self) -> None:
        """Ends the process and waits for its end; idempotent."""
        self._is_closing = True
        self._life.set()
        if self._channel is None:
            return
        self._channel.close()
        self._channel = None
        signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        await asyncio.to_thread(os.waitpid, self.pid, 0)

    def _on_death(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        os.waitpid(self.pid, 0)
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        self._life.clear()
        self._death.set()
        lived = self._loop.time() - self._born_at  # one that cannot live is not started over and over
        self._loop.call_later(0.0 if lived > _RESPAWN_SECONDS else _RESPAWN_SECONDS, self._restart)

    def _restart(self) -> None:
        if self._is_closing:
            return
        try:
            self.start()
        except errors.Unavailable:
            self._loop.call_later(_RESPAWN_SECONDS, self._restart)
