# SPDX-License-Identifier: Apache-2.0
"""Streams between the loop and threads: complete, bounded, and ended by either side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from holdfast.engine.streams import LIMIT_BYTES, Pipe, drain, feed
from holdfast.errors import Corrupt, InvalidArgument


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(0)


def read_all(pipe: Pipe) -> bytes:
    parts: list[bytes] = []
    while data := pipe.read(3):
        parts.append(data)
    return b"".join(parts)


async def test_a_thread_reads_what_the_loop_feeds() -> None:
    assert await feed(chunks(b"hello", b" ", b"world"), read_all) == b"hello world"


async def test_an_empty_body_is_an_end() -> None:
    assert await feed(chunks(), read_all) == b""


async def test_a_thread_that_ends_early_does_not_stop_the_body() -> None:
    seen = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal seen
        for _ in range(100):
            seen += 1
            yield bytes(LIMIT_BYTES // 4)
            await asyncio.sleep(0)

    assert await feed(body(), lambda pipe: pipe.read(1)) == b"\0"
    assert seen == 100


async def test_the_threads_error_is_the_jobs() -> None:
    def fail(pipe: Pipe) -> None:
        pipe.read(1)
        raise Corrupt("no good")

    with pytest.raises(Corrupt, match="no good"):
        await feed(chunks(b"x"), fail)


async def test_a_body_that_breaks_off_is_its_own_error_and_ends_the_thread() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise InvalidArgument("broken body")

    with pytest.raises(InvalidArgument, match="broken body"):
        await asyncio.wait_for(feed(broken(), read_all), 5)


async def test_a_slow_thread_holds_the_body_back() -> None:
    most = 0
    fed = taken = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal fed, most
        for _ in range(32):
            fed += 1 << 20
            most = max(most, fed - taken)
            yield bytes(1 << 20)

    def slow(pipe: Pipe) -> None:
        nonlocal taken
        while data := pipe.read(1 << 20):
            taken += len(data)
            time.sleep(0.002)

    await feed(body(), slow)

    assert taken == 32 << 20
    assert most <= LIMIT_BYTES + (3 << 20)


async def test_what_a_thread_writes_is_yielded_in_order() -> None:
    def write(pipe: Pipe) -> None:
        for number in range(1000):
            pipe.write(b"%d," % number)

    assert b"".join([data async for data in drain(write)]) == b"".join(b"%d," % number for number in range(1000))


async def test_the_error_of_a_writing_thread_is_raised_at_the_end() -> None:
    def write(pipe: Pipe) -> None:
        pipe.write(b"x")
        raise Corrupt("half way")

    stream = drain(write)

    assert await anext(stream) == b"x"
    with pytest.raises(Corrupt, match="half way"):
        await anext(stream)


async def test_a_reader_that_leaves_ends_the_writing_thread() -> None:
    written = 0

    def endless(pipe: Pipe) -> None:
        nonlocal written
        while True:
            written += pipe.write(bytes(1 << 16))

    stream = drain(endless)
    await anext(stream)
    await stream.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0.05)
    before = written
    await asyncio.sleep(0.05)

    assert written == before


async def test_an_empty_write_is_not_the_end() -> None:
    def write(pipe: Pipe) -> None:
        for data in (b"", b"a", b"", b"b"):
            pipe.write(data)
            time.sleep(0.01)

    assert b"".join([piece async for piece in drain(write)]) == b"ab"


async def test_a_closed_drain_has_ended_its_thread() -> None:
    ended: list[bool] = []

    def write(pipe: Pipe) -> None:
        try:
            while True:
                pipe.write(bytes(LIMIT_BYTES))
        finally:
            time.sleep(0.05)
            ended.append(True)

    pieces = drain(write)
    await anext(pieces)
    await pieces.aclose()

    assert ended == [True]


async def test_a_thread_takes_small_pieces_together_up_to_its_size() -> None:
    pipe = Pipe()
    for piece in (b"aa", b"bb", b"cc", b"dddd"):
        await pipe.put(piece)

    assert [pipe.read(5), pipe.read(3), pipe.read(100)] == [b"aabb", b"cc", b"dddd"]


async def test_many_small_pieces_pass_a_narrow_pipe_whole() -> None:
    pieces = [bytes([number % 251]) * (number % 37) for number in range(5000)]

    async def body() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    def work(pipe: Pipe) -> bytes:
        pipe._limit = 100  # narrower than any real one, so that both sides wait often
        found = b""
        while data := pipe.read(64):
            found += data
        return found

    assert await asyncio.wait_for(feed(body(), work), 20) == b"".join(pieces)
