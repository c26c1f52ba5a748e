# SPDX-License-Identifier: Apache-2.0
"""Owns the connections to all living shims and tells what they report, in one stream.

Starts and finds shims; it decides nothing and changes no record. One task per shim reads its events.
Called by the jobs start and restore; `exits` is read by the job reap.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from holdfast.shim import client
from holdfast.shim.client import Event, Launch, Shim, Spawner

_TURNS = 20
"""Of the loop; four bring an event from a shim to its handler."""


class Supervisor:
    """Every shim that this daemon is connected to."""

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._watchers: dict[Shim, asyncio.Task[None]] = {}

    async def launch(self, launch: Launch, *, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Shim:
        """Starts a container (see `Spawner.launch`); its events are not reported before the caller has been resumed."""
        shim = await self._spawner.launch(launch, meanwhile=meanwhile)
        self._watch(shim)
        return shim

    async def adopt(self, container_id: str, directory: Path) -> Shim:
        """Finds a running container's shim; Unavailable when it is gone."""
        shim = await client.adopt(container_id, str(directory))
        self._watch(shim)
        return shim

    async def exits(self) -> AsyncIterator[Event]:
        """What happens to all containers, in order for each of them; endless."""
        while True:
            yield await self._events.get()

    async def hear_out(self, shim: Shim | None) -> None:
        """Returns when the reader of `exits` has handled all that a shim, if there is one, has said by now.

        A shim tells an end before it hangs up on clients, so a client that comes with a question after that finds the
        container ended. (dockerd closes the streams under the container's lock, for which questions wait.)
        """
        for _ in range(_TURNS):
            if shim is None or (not shim.has_news() and self._events.empty()):
                return
            await asyncio.sleep(0)

    async def close(self) -> None:
        """Disconnects from all shims; their containers live on."""
        for shim, watcher in tuple(self._watchers.items()):
            watcher.cancel()
            await shim.close()
        self._watchers.clear()

    def statistics(self) -> dict[str, int]:
        """How many shims are connected, how many events wait."""
        return {"shims": len(self._watchers), "events": self._events.qsize()}

    def _watch(self, shim: Shim) -> None:
        task = asyncio.get_running_loop().create_task(self._read(shim), name=f"shim {shim.container_id[:12]}")
        self._watchers[shim] = task

    async def _read(self, shim: Shim) -> None:
        try:
            async for event in shim.events():
                self._events.put_nowait(event)
        finally:
            self._watchers.pop(shim, None)
