# SPDX-License-Identifier: Apache-2.0
"""The resolver's loop: descriptors and many short timers, one thread, level-triggered epoll.

A callback that raises is reported to `sys.excepthook` and the loop goes on: one sandbox's bad luck is not another's.
Every callback does a bounded piece of work, so nobody waits long for his turn. Source: epoll(7).
"""

from __future__ import annotations

import heapq
import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_REPORTED_FAILURES = 20
_FAILURE_PAUSE_SECONDS = 0.01


class Timer:
    """A callback that is due once, unless it is cancelled."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.due < other.due

    def cancel(self) -> None:
        self.callback = None


class Poll:
    """Waits for descriptors and timers and calls back until `stop`."""

    __slots__ = ("_callbacks", "_epoll", "_failures", "_is_running", "_timers")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._timers: list[Timer] = []
        self._failures = 0
        self._is_running = False

    def add(self, fd: int, events: int, callback: Callable[[], None]) -> None:
        """Calls back whenever the descriptor is ready or has failed."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def watch(self, fd: int, events: int) -> None:
        """Changes what a descriptor is watched for."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forgets a descriptor; must come before its close."""
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(time.monotonic() + seconds, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        self._is_running = False

    def run(self) -> None:
        """Serves until `stop`."""
        self._is_running = True
        while self._is_running:
            for fd, _ in self._epoll.poll(self._patience()):
                callback = self._callbacks.get(fd)
                if callback is not None:
                    self._guard(callback)
            while self._timers and self._timers[0].due <= time.monotonic():
                due = heapq.heappop(self._timers).callback
                if due is not None:
                    self._guard(due)

    def _guard(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:  # noqa: BLE001  (see the module's text)
            self._failures += 1
            if self._failures <= _REPORTED_FAILURES:
                sys.excepthook(type(error), error, error.__traceback__)
            time.sleep(_FAILURE_PAUSE_SECONDS)  # a descriptor that stays ready must not spin

    def _patience(self) -> float | None:
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        return max(0.0, self._timers[0].due - time.monotonic()) if self._timers else None
