# SPDX-License-Identifier: Apache-2.0
"""Puts on the disk what jobs have answered already: one flush of the records at a time, the next for all who asked since.

A job that writes a record without waiting for the disk begins a flush, and whatever must not come before the disk has it
(the answer to a start, the removal of files) waits for that. However many ask, a disk is asked once at a time, in one
hop to a thread. Belongs to the loop's thread. Called by the jobs that create, start, remove or prune containers and
networks, and by restore. Source: decisions/0016.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from holdfast.errors import HoldfastError

_LOG = logging.getLogger("holdfast.engine")


class Flusher:
    """Shares `flush` (`metadata.Store.flush`) among those who need it."""

    def __init__(self, flush: Callable[[], None]) -> None:
        self._flush = flush
        self._is_under_way = False
        self._next: asyncio.Future[None] | None = None

    def begin(self) -> asyncio.Future[None]:
        """Comes true when everything written up to now is on the disk. It is others', too: `wait` for it, never cancel it."""
        if self._next is None:
            self._next = asyncio.get_running_loop().create_future()
            self._next.add_done_callback(_notice)
        begun = self._next
        if not self._is_under_way:  # what is under way may have begun before the caller's write
            self._depart(begun)
        return begun

    async def wait(self, begun: asyncio.Future[None] | None) -> None:
        """Waits for a flush that was begun, and tries another when it has failed; None was never needed."""
        if begun is None:
            return
        try:
            await asyncio.shield(begun)
        except HoldfastError:
            await self.flush()

    async def flush(self) -> None:
        """Everything written up to now is on the disk when it returns; raises what the store does."""
        await asyncio.shield(self.begin())

    def _depart(self, those: asyncio.Future[None]) -> None:
        self._next, self._is_under_way = None, True
        running = asyncio.get_running_loop().run_in_executor(None, self._flush)
        running.add_done_callback(lambda done: self._arrive(those, done))

    def _arrive(self, those: asyncio.Future[None], done: asyncio.Future[None]) -> None:
        self._is_under_way = False
        if self._next is not None:
            self._depart(self._next)
        if done.cancelled():
            those.cancel()
        elif (error := done.exception()) is not None:
            those.set_exception(error)
        else:
            those.set_result(None)


def _notice(done: asyncio.Future[None]) -> None:
    """Not everybody who begins one looks how it ended."""
    if not done.cancelled() and (error := done.exception()) is not None:
        _LOG.error("what was changed last is not on the disk yet: %s", error)
