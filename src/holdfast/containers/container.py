# SPDX-License-Identifier: Apache-2.0
"""One container as the daemon holds it: its record, and what lives only as long as the daemon.

Rules: `lock` is held by whoever starts, removes, renames, updates or pauses. The report of an exit changes the record
without it, in one step of the loop; what is torn down after an exit is `cleanup`, which the next holder of the lock
awaits first. So a storm of calls on one container queues, and none of them waits for itself.
Belongs to the loop's thread. Called by the jobs of `engine`.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from holdfast.containers import lifecycle
from holdfast.containers.record import Record, State
from holdfast.errors import Conflict, Corrupt, NotFound

if TYPE_CHECKING:
    import msgspec

    from holdfast.shim.client import Shim, StreamGrant


class Lock(asyncio.Lock):
    """A lock that tells how long it has been waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._began: list[float] = []

    async def acquire(self) -> Literal[True]:
        began = asyncio.get_running_loop().time()
        self._began.append(began)
        try:
            return await super().acquire()
        finally:
            self._began.remove(began)

    @property
    def waited_seconds(self) -> float:
        """How long the most patient of those who wait has waited; 0 when nobody does."""
        return asyncio.get_running_loop().time() - self._began[0] if self._began else 0.0


class Container:
    """A record with its lock, its shim, and those who wait for something."""

    __slots__ = (
        "_exit_waiters",
        "_removal_waiters",
        "begun_nanos",
        "cleanup",
        "creation",
        "fast_restarts",
        "health_task",
        "is_off_record",
        "listing",
        "lock",
        "pending",
        "record",
        "restart_task",
        "restarts_by_user",
        "shim",
    )

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lock = Lock()
        self.shim: Shim | None = None
        self.pending: list[StreamGrant] = []
        self.creation: asyncio.Future[None] | None = None
        """Comes true when its record has reached the disk, which its creation did not wait for; None when it had."""
        self.cleanup: asyncio.Task[None] | None = None
        self.restart_task: asyncio.Task[None] | None = None
        self.health_task: asyncio.Task[None] | None = None
        self.restarts_by_user = 0
        """How many calls of `docker restart` are under way."""
        self.is_off_record = False
        """Whether its record was deleted, or is about to be: nothing is written of it any more."""
        self.fast_restarts = 0
        self.begun_nanos = 0
        """When its process began, on the clock that nobody sets; 0 before the first start."""
        self.listing: tuple[str, str, msgspec.Raw] | None = None
        """Its line in the list as JSON, with the status text in it; None when something has changed."""
        self._exit_waiters: set[asyncio.Future[tuple[int, str]]] = set()
        self._removal_waiters: set[asyncio.Future[tuple[int, str]]] = set()

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def state(self) -> State:
        return self.record.state

    def change(self, event: str) -> None:
        """Takes the lifecycle's step; raises Internal when the table does not have it."""
        self.record.state.status = lifecycle.after(self.record.state.status, event)
        self.listing = None

    def attributes(self, **more: str) -> dict[str, str]:
        """What Docker's container events carry: labels, image, name, and the event's own."""
        return {
            **(self.record.config.labels or {}),
            "image": self.record.config.image,
            "name": self.record.name,
            **more,
        }

    def require_shim(self) -> Shim:
        """The shim of a container with a process; Conflict in Docker's words for others."""
        if self.shim is None or not self.state.has_process:
            raise Conflict(f"container {self.id} is not running")
        return self.shim

    def require_kept(self, verb: str) -> None:
        """Raises Conflict for a container that is on its way out, or gone: the lock was waited for, it was not."""
        if self.record.is_removing or self.is_off_record:
            raise Conflict(f"cannot {verb} container {self.id}: container is marked for removal")

    def require_sound(self) -> None:
        """Raises Corrupt for a container whose record was damaged: it can only be listed and removed."""
        if self.record.damage:
            raise Corrupt(f"container {self.id} is damaged ({self.record.damage}): it can only be removed")

    async def settle(self) -> None:
        """Waits for what is still torn down after the last exit."""
        while self.cleanup is not None:
            task = self.cleanup
            with suppress(Exception):
                await asyncio.shield(task)
            if self.cleanup is task:
                self.cleanup = None

    def expect_exit(self) -> asyncio.Future[tuple[int, str]]:
        """Comes true with (exit code, error) at the next exit; cancel it when it is not needed any more."""
        return self._expect(self._exit_waiters)

    def expect_removal(self) -> asyncio.Future[tuple[int, str]]:
        """Comes true with (exit code, error) when the container is gone, or could not be removed."""
        return self._expect(self._removal_waiters)

    def report_exit(self) -> None:
        """Wakes those who wait for an exit."""
        self._wake(self._exit_waiters, "")

    def report_removal(self, error: str = "") -> None:
        """Wakes all who wait: there will be no other exit."""
        self._wake(self._removal_waiters, error)
        self._wake(self._exit_waiters, error)

    def drop_pending(self) -> list[StreamGrant]:
        """Hands over the clients that attached before the start; they are the caller's now."""
        grants, self.pending = self.pending, []
        return grants

    def cancel_restart(self) -> bool:
        """Calls off a restart that is due; False when there was none."""
        task, self.restart_task = self.restart_task, None
        if task is None or task.done():
            return False
        task.cancel()
        return True

    def _expect(self, waiters: set[asyncio.Future[tuple[int, str]]]) -> asyncio.Future[tuple[int, str]]:
        future: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()
        waiters.add(future)
        future.add_done_callback(waiters.discard)
        return future

    def _wake(self, waiters: set[asyncio.Future[tuple[int, str]]], error: str) -> None:
        for future in tuple(waiters):
            if not future.done():
                future.set_result((self.state.exit_code, error))


def not_found(reference: str) -> NotFound:
    """Docker's error for a container that nobody knows."""
    return NotFound(f"No such container: {reference}")
