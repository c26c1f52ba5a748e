# SPDX-License-Identifier: Apache-2.0
"""How a long job tells of its progress: Docker's JSON messages, from any thread, to one reader on the loop.

A job calls the `Progress` that it was given; a route reads the messages from a `ProgressChannel` and streams them.
Knows neither jobs nor HTTP. Source: moby `pkg/jsonmessage`.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any

from holdfast.errors import HoldfastError

Progress = Callable[[Mapping[str, Any]], None]
"""Takes one message: status, id, progressDetail, progress, stream, aux, error, errorDetail."""


def ignore(message: Mapping[str, Any]) -> None:
    """A Progress for whoever does not care."""


class ProgressChannel:
    """Is a Progress (thread-safe) and an asynchronous iterator of what it was told, until the job is over."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self._lock = threading.Lock()
        self._messages: deque[Mapping[str, Any]] = deque()
        self._wake = asyncio.Event()
        self._job: asyncio.Future[object] | None = None

    def __call__(self, message: Mapping[str, Any]) -> None:
        """Queues the message; never waits. After the loop has closed it is dropped."""
        with self._lock:
            self._messages.append(message)
            is_first = len(self._messages) == 1
        if threading.get_ident() == self._thread:
            self._wake.set()
        elif is_first and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    @property
    def is_over(self) -> bool:
        """Whether the job has succeeded and everything that it said was taken."""
        job = self._job
        return job is not None and job.done() and not self._messages and not job.cancelled() and not job.exception()

    async def follow(self, job: Awaitable[object]) -> AsyncGenerator[list[Mapping[str, Any]]]:
        """Runs the job and yields its messages as they come, those that came together together; its error is the last.

        When the reader goes away the job is cancelled.
        """
        self._job = task = asyncio.ensure_future(job)
        task.add_done_callback(lambda _: self._wake.set())
        try:
            while True:
                self._wake.clear()
                if messages := self._take():
                    yield messages
                if task.done() and not self._messages:
                    break
                await self._wake.wait()
            try:
                task.result()
            except HoldfastError as error:
                yield [error_message(error.message)]
        finally:
            task.cancel()

    def _take(self) -> list[Mapping[str, Any]]:
        with self._lock:
            messages = list(self._messages)
            self._messages.clear()
        return messages


def error_message(text: str) -> dict[str, Any]:
    """The message that ends a stream which failed after its first byte."""
    return {"errorDetail": {"message": text}, "error": text}
