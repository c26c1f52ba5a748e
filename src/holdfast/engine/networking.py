# SPDX-License-Identifier: Apache-2.0
"""The one thread in which the network controller lives, and its calls as awaitables.

`Controller.connect` moves its thread through namespaces, so nothing else may run there. Called by the container and
network jobs. A call costs the hop of 0.1 to 0.4 ms and blocks nobody; a plan is shorter than that and all in memory, so
while the thread is idle the loop makes it itself: calls come from the loop only, so none can begin meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdfast import networks
from holdfast.errors import HoldfastError
from holdfast.networks import Attachment, ConnectRequest

T = TypeVar("T")
_LOG = logging.getLogger("holdfast.engine")
_IDLE_SECONDS = 0.25
_REPAIR_SECONDS = 0.3
_FEW_PORTS = 16
"""So many sockets are bound while a thread wakes."""


class NetworkWorker:
    """Runs calls of the controller one after the other, in the order in which they were made."""

    def __init__(self, controller: networks.Controller) -> None:
        self.controller = controller
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="networks")
        self._under_way = 0
        self._preparation: asyncio.TimerHandle | None = None
        self._is_watching = False
        self._watched: set[int] = set()
        self._repair: asyncio.TimerHandle | None = None
        self._repairing: asyncio.Future[None] | None = None
        self._lookout: asyncio.TimerHandle | None = None

    async def run(self, call: Callable[[], T]) -> T:
        """Any call on the controller; one that has begun ends, whatever becomes of the caller."""
        try:
            return await asyncio.shield(self._submit(call))
        finally:
            if self._is_watching:
                self._watch_new()

    async def plan(self, request: ConnectRequest, joined_pid: int | None = None) -> Attachment:
        """Settles what a container's network will be; leaves nothing when it raises."""
        is_short = len(request.ports) <= _FEW_PORTS and self.controller.sandbox(request.container_id) is None
        if is_short and not self._under_way:
            return self.controller.plan(request, joined_pid)
        return await self.run(lambda: self.controller.plan(request, joined_pid))

    async def make(self, request: ConnectRequest) -> None:
        """Makes what was planned for the request; leaves nothing, not the plan either, when it raises."""
        try:
            await self.run(lambda: self.controller.make(request))
        finally:
            self._prepare_when_idle()

    async def disconnect(self, container_id: str) -> None:
        """Takes it away; idempotent."""
        await self.run(lambda: self.controller.disconnect(container_id))
        self._prepare_when_idle()

    async def reconcile(self, live: Collection[str]) -> list[str]:
        """Removes what belongs to nobody."""
        removed = await self.run(lambda: self.controller.reconcile(live))
        self._prepare_when_idle()
        return removed

    def watch(self) -> None:
        """From now on what others change or kill on the host is put right within a second."""
        self._is_watching = True
        self._watch_new()

    def _watch_new(self) -> None:
        """The resolver's process comes with the first container that needs it."""
        loop = asyncio.get_running_loop()
        for fd in self.controller.watched():
            if fd not in self._watched:
                self._watched.add(fd)
                loop.add_reader(fd, self._notice, fd)
        if self._lookout is None and (seconds := self.controller.lookout_seconds()) is not None:
            self._lookout = loop.call_later(seconds, self._look)

    def _look(self) -> None:
        """Not all changes are told."""
        self._lookout = None
        if self._repair is None:
            self._begin_repair()

    def _notice(self, fd: int) -> None:
        """Once for all that happens in a moment: whoever loads a rule set makes many changes."""
        loop = asyncio.get_running_loop()
        self._watched.discard(fd)
        loop.remove_reader(fd)
        if self._repair is None:
            self._repair = loop.call_later(_REPAIR_SECONDS, self._begin_repair)

    def _begin_repair(self) -> None:
        self._repairing = asyncio.ensure_future(self._put_right())

    async def _put_right(self) -> None:
        try:
            for note in await self.run(self.controller.repair):
                _LOG.warning("%s", note)
        except (HoldfastError, OSError) as error:
            _LOG.error("the host's network could not be put right: %s", error)
        finally:
            self._repair = None
            if self._is_watching:
                self._watch_new()

    async def close(self) -> None:
        """Lets go of the controller's sockets and ends the thread; networks stay."""
        if self._preparation is not None:
            self._preparation.cancel()
        self._stop_watching()
        await self.run(self.controller.close)
        self._thread.shutdown(wait=False)

    def _stop_watching(self) -> None:
        self._is_watching = False
        loop = asyncio.get_running_loop()
        for fd in self._watched:
            loop.remove_reader(fd)
        for timer in (self._repair, self._lookout):
            if timer is not None:
                timer.cancel()

    def _prepare_when_idle(self) -> None:
        """Not at once: the start, or the end, whose call this was wants the processor first."""
        if self._preparation is not None:
            self._preparation.cancel()
        self._preparation = asyncio.get_running_loop().call_later(_IDLE_SECONDS, self._prepare)

    def _prepare(self) -> None:
        self._submit(lambda: _prepare(self.controller))

    def _submit(self, call: Callable[[], T]) -> asyncio.Future[T]:
        self._under_way += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, call)
        future.add_done_callback(self._count_down)
        return future

    def _count_down(self, _: object) -> None:
        self._under_way -= 1


def _prepare(controller: networks.Controller) -> None:
    try:
        controller.prepare()
    except HoldfastError as error:
        _LOG.info("the next container's network is not prepared: %s", error.message)
