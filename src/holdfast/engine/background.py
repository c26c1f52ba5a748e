# SPDX-License-Identifier: Apache-2.0
"""Work that goes on after its answer was given: kept alive, its failures logged, waited for when the daemon stops."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from holdfast.errors import HoldfastError

_LOG = logging.getLogger("holdfast.engine")


class Background:
    """A set of running tasks; asyncio itself keeps only weak references."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._endless: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        """Runs it; an exception that is nobody's answer is logged under the name."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        return task

    def start_endless(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Runs a service of the daemon until `drain`."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._endless.add(task)
        task.add_done_callback(self._finish)

    async def drain(self, seconds: float) -> None:
        """Waits for what is under way, then cancels the rest."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in tuple(self._tasks):
            task.cancel()
        for task in tuple(self._endless):
            task.cancel()

    def statistics(self) -> dict[str, int]:
        """How much is under way."""
        return {"tasks": len(self._tasks)}

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._endless.discard(task)
        if task.cancelled():
            return
        error = task.exception()
        if error is not None and not isinstance(error, HoldfastError):
            _LOG.error("%s failed", task.get_name(), exc_info=error)
