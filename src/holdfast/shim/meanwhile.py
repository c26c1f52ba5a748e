# SPDX-License-Identifier: Apache-2.0
"""What is made on the host while a shim is on its way, and the pipe through which the shim learns that it is there.

It begins when the launch has been sent: before, the two would only take the interpreter from each other. A pipe that
ends without a word tells the shim to give up, so a daemon that is killed in between leaves nobody waiting.
Used by `client` only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Generator

from holdfast.shim import protocol


class Meanwhile:
    """One launch's; belongs to the running loop."""

    def __init__(self, make: Callable[[], Awaitable[None]]) -> None:
        self._make = make
        self._made: asyncio.Future[None] | None = None

    @contextlib.contextmanager
    def readiness(self) -> Generator[list[int]]:
        """The pipe's end for the shim, open inside; what is to be made begins when the context is left without an error."""
        theirs, ours = os.pipe2(os.O_CLOEXEC)
        try:
            yield [theirs]
        except BaseException:
            os.close(ours)
            raise
        finally:
            os.close(theirs)
        if self._made is None:
            self._made = asyncio.ensure_future(self._make())
        self._made.add_done_callback(lambda made: _tell(ours, made))

    async def outcome(self) -> None:
        """Waits until it is made, and raises why it could not be; returns at once when it was never begun."""
        if self._made is not None:
            await asyncio.shield(self._made)


def _tell(fd: int, made: asyncio.Future[None]) -> None:
    if not made.cancelled() and made.exception() is None:
        with contextlib.suppress(BrokenPipeError):  # the shim has given up for a reason of its own
            os.write(fd, protocol.GO)
    os.close(fd)
