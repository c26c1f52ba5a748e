# SPDX-License-Identifier: Apache-2.0
"""A poll loop for our small processes: file descriptors and timers, one thread, level-triggered epoll.

Callbacks run to their end one after the other; each does a bounded piece of work, and one that closes a descriptor
removes it first. A callback that raises is reported to `sys.excepthook` and the loop goes on: a bug must not cost a
container, nor one container's bad luck another's. Imports next to nothing: every shim carries it. Used by the shim, the
couriers of logs and the companions of `networks`. Source: epoll(7).
"""

from __future__ import annotations

import select
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

READ = select.EPOLLIN
WRITE = select.EPOLLOUT
HANGUP = select.EPOLLHUP | select.EPOLLERR
"""Always reported, asked for or not."""

_REPORTED_FAILURES = 20
_FAILURE_PAUSE_SECONDS = 0.02


class Timer:
    """A callback that is due once; `cancel` may be called at any time."""

    __slots__ = ("callback", "due")

    def __init__(self, due: float, callback: Callable[[], None]) -> None:
        self.due = due
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Makes sure that it does not run any more."""
        self.callback = None


class Loop:
    """Waits for descriptors and timers and calls back until `stop`."""

    __slots__ = ("_callbacks", "_epoll", "_failures", "_is_running", "_timers")

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}
        self._timers: list[Timer] = []
        """The soonest last; of two at the same time the one that was made first."""
        self._is_running = False
        self._failures = 0

    def add(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Calls `callback(ready events)` whenever fd is ready for one of `events` (0: only when it hangs up)."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def watch(self, fd: int, events: int) -> None:
        """Changes the events of a descriptor that was added."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forgets a descriptor; must come before its close."""
        del self._callbacks[fd]
        self._epoll.unregister(fd)

    def call_later(self, seconds: float, callback: Callable[[], None]) -> Timer:
        """Calls back once, `seconds` from now. Costs no more when thousands wait."""
        timer = Timer(time.monotonic() + seconds, callback)
        first, behind = 0, len(self._timers)
        while first < behind:
            middle = (first + behind) // 2
            if self._timers[middle].due > timer.due:
                first = middle + 1
            else:
                behind = middle
        self._timers.insert(first, timer)
        return timer

    def stop(self) -> None:
        """Makes `run` return after the present callback."""
        self._is_running = False

    def close(self) -> None:
        """Gives its descriptor back; nothing is watched any more."""
        self._epoll.close()

    def run(self) -> None:
        """Serves until `stop`."""
        self._is_running = True
        while self._is_running:
            for fd, ready in self._epoll.poll(self._patience()):
                callback = self._callbacks.get(fd)
                if callback is not None:
                    self._guard(callback, ready)
            if self._timers:
                self._run_timers()

    def _guard(self, callback: Callable[..., None], *arguments: int) -> None:
        try:
            callback(*arguments)
        except Exception as error:  # noqa: BLE001  (see the module's text)
            self._failures += 1
            if self._failures <= _REPORTED_FAILURES:
                sys.excepthook(type(error), error, error.__traceback__)
            time.sleep(_FAILURE_PAUSE_SECONDS)  # a descriptor that stays ready must not spin

    def _patience(self) -> float | None:
        while self._timers and self._timers[-1].callback is None:
            self._timers.pop()
        return max(0.0, self._timers[-1].due - time.monotonic()) if self._timers else None

    def _run_timers(self) -> None:
        """Those that are due now; one that they add has to wait, for descriptors have their turn in between."""
        now = time.monotonic()
        while self._timers and self._timers[-1].due <= now:
            callback = self._timers.pop().callback
            if callback is not None:
                self._guard(callback)
