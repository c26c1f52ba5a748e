# SPDX-License-Identifier: Apache-2.0
"""One flush at a time, and the next one for all who asked meanwhile."""

from __future__ import annotations

import asyncio
import gc
import threading

import pytest

from holdfast.engine.flusher import Flusher
from holdfast.errors import Corrupt


class Disk:
    """A flush that notes what had been written when it began, and ends when it is told to."""

    def __init__(self) -> None:
        self.written = 0
        self.flushes: list[int] = []
        self.failures: list[Exception] = []
        self.beginnings = threading.Semaphore(0)
        self.turns = threading.Semaphore(0)

    def flush(self) -> None:
        self.flushes.append(self.written)
        self.beginnings.release()
        assert self.turns.acquire(timeout=10)
        if self.failures:
            raise self.failures.pop(0)

    async def begun(self, count: int) -> None:
        assert await asyncio.to_thread(self.beginnings.acquire, timeout=10)
        assert len(self.flushes) == count


async def test_who_asks_while_a_flush_is_under_way_shares_the_next() -> None:
    disk = Disk()
    flusher = Flusher(disk.flush)
    disk.written = 1
    first = flusher.begin()
    await disk.begun(1)
    disk.written = 2
    later = [flusher.begin() for _ in range(20)]

    disk.turns.release()
    await first
    await disk.begun(2)

    assert not any(each.done() for each in later)
    disk.turns.release()
    await asyncio.gather(*(asyncio.shield(each) for each in later))
    assert disk.flushes == [1, 2]


async def test_one_after_the_other_each_gets_its_own() -> None:
    disk = Disk()
    flusher = Flusher(disk.flush)
    for number in range(3):
        disk.written = number
        disk.turns.release()
        await flusher.flush()

    assert disk.flushes == [0, 1, 2]


async def test_who_leaves_does_not_end_the_flush_of_others() -> None:
    disk = Disk()
    flusher = Flusher(disk.flush)
    begun = flusher.begin()
    leaving = asyncio.create_task(flusher.wait(begun))
    await disk.begun(1)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)

    disk.turns.release()
    await flusher.wait(begun)

    assert leaving.cancelled()
    assert disk.flushes == [0]


async def test_who_waits_for_one_that_failed_gets_another_and_its_failure() -> None:
    disk = Disk()
    flusher = Flusher(disk.flush)
    disk.failures = [Corrupt("one"), Corrupt("two")]
    begun = flusher.begin()
    disk.turns.release(3)

    with pytest.raises(Corrupt, match="two"):
        await flusher.wait(begun)
    await flusher.wait(begun)

    assert len(disk.flushes) == 3


async def test_a_failure_that_nobody_waits_for_is_not_complained_about() -> None:
    disk = Disk()
    complaints: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    disk.failures = [Corrupt("one")]
    disk.turns.release()
    begun = Flusher(disk.flush).begin()
    await asyncio.wait([begun])

    del begun
    gc.collect()
    await asyncio.sleep(0)

    assert complaints == []
