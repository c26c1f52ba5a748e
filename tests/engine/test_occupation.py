# SPDX-License-Identifier: Apache-2.0
"""A client that stands still keeps nobody from a container."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from holdfast.containers import Container, Record
from holdfast.containers.config import Config, HostConfig
from holdfast.engine import streams
from holdfast.engine.occupation import occupied
from holdfast.engine.streams import Pipe
from holdfast.errors import Conflict

PATIENCE = 0.05


def container() -> Container:
    return Container(
        Record(id="c", name="c", created_nanos=1, image_id="", driver="", config=Config(), host_config=HostConfig())
    )


def endless(target: Pipe) -> None:
    while True:
        target.write(b"x" * 65536)


async def locked(held: Container) -> None:
    async with held.lock:
        return


async def test_a_reader_that_stands_still_is_cut_off_when_the_container_is_wanted() -> None:
    held = container()
    pieces = await streams.start(streams.drain(endless, lambda pipe: occupied(held, pipe, PATIENCE)))

    async with asyncio.timeout(5):
        await locked(held)

    with pytest.raises(Conflict, match="wanted by another call"):
        async for _ in pieces:
            pass


async def test_a_reader_that_nobody_waits_for_may_stand_still() -> None:
    held = container()
    pieces = await streams.start(streams.drain(endless, lambda pipe: occupied(held, pipe, PATIENCE)))

    await asyncio.sleep(PATIENCE * 6)

    assert held.lock.locked()
    assert len(await anext(pieces)) > 0
    assert len(await anext(pieces)) > 0
    await pieces.aclose()
    assert not held.lock.locked()


async def test_a_writer_that_stands_still_is_cut_off_when_the_container_is_wanted() -> None:
    held = container()
    goes_on = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"begun"
        await goes_on.wait()

    def work(source: Pipe) -> None:
        while source.read(65536):
            pass

    task = asyncio.create_task(streams.feed(body(), work, lambda pipe: occupied(held, pipe, PATIENCE)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await locked(held)
    goes_on.set()

    with pytest.raises(Conflict, match="stands still"):
        await task


async def test_stalled_transfers_leave_the_pool_of_threads_alone() -> None:
    stalled = [await streams.start(streams.drain(endless)) for _ in range(40)]

    began = time.monotonic()
    await asyncio.to_thread(time.time)

    assert time.monotonic() - began < 1.0
    for pieces in stalled:
        await pieces.aclose()
