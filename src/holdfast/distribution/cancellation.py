# SPDX-License-Identifier: Apache-2.0
"""Cancelling blocking work from another thread.

The waiting side registers what must be woken (a future, a socket); the cancelling side only says `cancel`.
Called by the image jobs of `engine`, which cancel when the client leaves.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager

from holdfast.errors import Unavailable


class Cancelled(Unavailable):
    """Somebody said `cancel`; the text is the one Docker's clients know."""

    def __init__(self) -> None:
        super().__init__("context canceled")


class Cancellation:
    """One flag and those who wait under it; every method may be called from any thread."""

    __slots__ = ("_event", "_lock", "_watchers")

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._watchers: list[Callable[[], None]] = []

    @property
    def is_cancelled(self) -> bool:
        """True once somebody said `cancel`."""
        return self._event.is_set()

    def cancel(self) -> None:
        """Sets the flag and wakes the watchers; a second call does nothing."""
        with self._lock:
            if self._event.is_set():
                return
            self._event.set()
            watchers, self._watchers = self._watchers, []
        for watcher in watchers:
            watcher()

    def check(self) -> None:
        """Raises Cancelled when the flag is set."""
        if self._event.is_set():
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Waits, but raises Cancelled as soon as the flag is set."""
        if self._event.wait(seconds):
            raise Cancelled

    @contextmanager
    def watched(self, watcher: Callable[[], None]) -> Generator[None]:
        """Calls `watcher` if the flag is set while the block runs, at once when it is set already.

        It runs in the cancelling thread and must neither block nor raise.
        """
        with self._lock:
            is_late = self._event.is_set()
            if not is_late:
                self._watchers.append(watcher)
        if is_late:
            watcher()
        try:
            yield
        finally:
            with self._lock:
                if watcher in self._watchers:
                    self._watchers.remove(watcher)
