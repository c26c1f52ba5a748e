# SPDX-License-Identifier: Apache-2.0
"""A container's lock for as long as its files are carried in or out, but not for a client that stands still.

A container that does not run is mounted for the transfer and must not start on the same files, so the lock is held. When
somebody has waited for it for some seconds, the transfer is cut off as soon as its client moves next to nothing for a
fifth of that; a client whom nobody waits for may take its time. (dockerd holds the lock until everything is read.)
Called by the jobs archive and export.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from holdfast.containers import Container
from holdfast.engine.streams import Pipe
from holdfast.errors import Conflict

PATIENCE_SECONDS = 5.0
_LOOKS = 20
"""How often it is looked within the patience."""
_LEAST_BYTES = 256 << 10
"""What must move within a fifth of the patience, or it is standing still."""


@asynccontextmanager
async def occupied(
    container: Container, pipe: Pipe, patience_seconds: float = PATIENCE_SECONDS
) -> AsyncGenerator[None]:
    """Holds the lock of a settled, sound container; Conflict when it is on its way out."""
    async with container.lock:
        await container.settle()
        container.require_sound()
        container.require_kept("use the files of")
        watcher = asyncio.create_task(_watch(container, pipe, patience_seconds))
        try:
            yield
        finally:
            watcher.cancel()


async def _watch(container: Container, pipe: Pipe, patience_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    moved, since = pipe.moved_bytes, loop.time()
    while True:
        await asyncio.sleep(patience_seconds / _LOOKS)
        if pipe.moved_bytes - moved >= _LEAST_BYTES or not pipe.is_thread_waiting:
            moved, since = pipe.moved_bytes, loop.time()
        elif container.lock.waited_seconds >= patience_seconds and loop.time() - since >= patience_seconds / 5:
            pipe.close(Conflict(f"container {container.id} is wanted by another call, and the client stands still"))
            return
