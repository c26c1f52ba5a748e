# SPDX-License-Identifier: Apache-2.0
"""Joins between the loop and blocking code that reads or writes a stream in a thread.

Bounded both ways: a slow disk holds the client back, a slow client holds the thread back. Each transfer has a thread
of its own: clients that stand still must not use up the pool in which every change of a container is written. What must
be held meanwhile (`under`) is held by the thread's side and not by the client's, so it is free when the thread has ended,
whatever the client does. Called by the jobs load, import, save, archive and export.
Source: docs.python.org asyncio-dev "Concurrency and Multithreading".
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import CancelledError
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from typing import Any, TypeVar

from holdfast.errors import HoldfastError, InvalidArgument, Unavailable

R = TypeVar("R")

LIMIT_BYTES = 4 << 20


class Abandoned(Unavailable):
    """The other end of the stream is gone."""


class Pipe:
    """Bytes from one side to the other; `read` and `write` are for threads, `put` and `take` for the loop."""

    def __init__(self, limit_bytes: int = LIMIT_BYTES) -> None:
        self._loop = asyncio.get_running_loop()
        self._limit = limit_bytes
        self._condition = threading.Condition()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._is_closed = False
        self._failure: BaseException | None = None
        self._changed = asyncio.Event()
        self._is_loop_waiting = False
        self.moved_bytes = 0
        self.is_thread_waiting = False
        """Whether it is the client for whom the thread waits."""

    @property
    def failure(self) -> BaseException | None:
        """Why the stream was cut off."""
        return self._failure

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes of what is there, waiting for the first; empty at the end. For a thread.

        The client is asked for more when half of the room is free, so that the two sides do not wake each other for
        every piece.
        """
        with self._condition:
            while not self._chunks and not self._is_closed:
                self._wait_for_client()
            if self._failure is not None:
                raise Abandoned("the stream was cut off") from self._failure
            if not self._chunks:
                return b""
            chunk = self._pop(size)
            self._size -= len(chunk)
            self.moved_bytes += len(chunk)
        if self._size <= self._limit // 2:
            self._wake_loop()
        return chunk

    def _pop(self, size: int) -> bytes:
        """The first piece, cut to the size, or as many whole ones as fit into it."""
        chunk = self._chunks.popleft()
        if len(chunk) > size:
            self._chunks.appendleft(chunk[size:])
            return chunk[:size]
        found, total = [chunk], len(chunk)
        while self._chunks and total + len(self._chunks[0]) <= size:
            found.append(self._chunks.popleft())
            total += len(found[-1])
        return b"".join(found) if len(found) > 1 else chunk

    def write(self, data: bytes | bytearray | memoryview, /) -> int:
        """Takes the bytes, waiting while the other side is slow; Abandoned when it is gone. For a thread."""
        if not data:
            return 0  # an empty chunk would look like the end to `take`
        with self._condition:
            while self._size >= self._limit and not self._is_closed:
                self._wait_for_client()
            if self._is_closed:
                raise Abandoned("nobody reads the stream any more")
            self._chunks.append(bytes(data))
            self._size += len(data)
        self._wake_loop()
        return len(data)

    def close(self, failure: BaseException | None = None) -> None:
        """Ends the stream; with a failure the reading side gets an error instead of the end. From anywhere."""
        with self._condition:
            if not self._is_closed:
                self._is_closed, self._failure = True, failure
            self._condition.notify_all()
        self._wake_loop()

    async def put(self, data: bytes) -> None:
        """Hands bytes to the thread, waiting while it is slow."""
        if not data:
            return
        while self._size >= self._limit and not self._is_closed:
            await self._wait()
        with self._condition:
            self._chunks.append(data)
            self._size += len(data)
            self._condition.notify_all()

    async def take(self) -> bytes:
        """What the thread has written, waiting for some; empty at the end."""
        while not self._chunks and not self._is_closed:
            await self._wait()
        with self._condition:
            data = b"".join(self._chunks)
            self._chunks.clear()
            self.moved_bytes += self._size
            self._size = 0
            self._condition.notify_all()
        return data

    def _wait_for_client(self) -> None:
        self.is_thread_waiting = True
        self._condition.wait()
        self.is_thread_waiting = False

    async def _wait(self) -> None:
        self._changed.clear()
        self._is_loop_waiting = True  # before it looks: whoever changes something after the look sees it
        if (not self._chunks or self._size >= self._limit) and not self._is_closed:
            await self._changed.wait()
        self._is_loop_waiting = False

    def _wake_loop(self) -> None:
        if self._is_loop_waiting and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._changed.set)


Under = Callable[[Pipe], AbstractAsyncContextManager[None]]
"""What is entered before the thread begins, and left when it has ended."""


def nothing(pipe: Pipe) -> AbstractAsyncContextManager[None]:
    """An `Under` that holds nothing."""
    return nullcontext()


async def feed(chunks: AsyncIterator[bytes], work: Callable[[Pipe], R], under: Under = nothing) -> R:
    """Runs `work` in a thread that reads the chunks as they come; when it ends early the rest is read and dropped.

    A cancelled job, or a body that breaks off, is an error to the reader.
    """
    pipe = Pipe()
    task = asyncio.ensure_future(_carry(work, pipe, under))
    task.add_done_callback(lambda _: pipe.close())
    try:
        async for chunk in chunks:
            if not task.done():
                await pipe.put(chunk)
        pipe.close()
        return await asyncio.shield(task)
    except Abandoned as error:
        if isinstance(pipe.failure, HoldfastError):
            raise pipe.failure from None
        raise InvalidArgument("unexpected EOF") from error
    except BaseException as error:
        pipe.close(error)
        with suppress(Exception):
            await asyncio.shield(task)
        raise


async def drain(work: Callable[[Pipe], None], under: Under = nothing) -> AsyncGenerator[bytes]:
    """Runs `work` in a thread and yields what it writes; its error is raised where the stream ends.

    The thread has ended when the iterator is closed: it fails at its next write.
    """
    pipe = Pipe()

    def run(target: Pipe) -> None:
        with suppress(Abandoned, CancelledError):
            work(target)

    task = asyncio.ensure_future(_carry(run, pipe, under))
    task.add_done_callback(lambda _: pipe.close())
    try:
        while data := await pipe.take():
            yield data
        await asyncio.shield(task)
        if pipe.failure is not None:
            raise pipe.failure
    finally:
        pipe.close()
        await asyncio.wait((task,))


async def _carry(work: Callable[[Pipe], R], pipe: Pipe, under: Under) -> R:
    async with under(pipe):
        return await _in_thread(lambda: work(pipe))


def _in_thread(work: Callable[[], R]) -> asyncio.Future[R]:
    """As `asyncio.to_thread`, in a thread of its own; a daemon that stops does not wait for it."""
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[R] = loop.create_future()

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001  (it is raised where the outcome is awaited)
            tell(outcome.set_exception, error)
        else:
            tell(outcome.set_result, result)

    def tell(setter: Callable[[Any], None], value: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(lambda: outcome.done() or setter(value))

    threading.Thread(target=run, name="transfer", daemon=True).start()
    return outcome


class Started:
    """A stream whose first piece is here, so that what could go wrong before it has not; `aclose` it if it is not read.

    Unlike a generator that nobody has asked yet, it gives back at `aclose` what was taken for the first piece.
    """

    def __init__(self, first: bytes, rest: AsyncGenerator[bytes]) -> None:
        self._first = first
        self._rest = rest

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if self._first:
            first, self._first = self._first, b""
            return first
        return await anext(self._rest)

    async def aclose(self) -> None:
        """Ends the work; its locks are free on return."""
        await self._rest.aclose()


async def start(pieces: AsyncGenerator[bytes]) -> Started:
    """Waits for the first piece; the stream must have one."""
    return Started(await anext(pieces), pieces)
