# SPDX-License-Identifier: Apache-2.0
"""Doing one piece of work once for everybody who asks for it at the same time.

The first to `board` a key starts the flight in a pool thread; later ones join it, see its progress and get its
result or its error. When the last passenger leaves (cancellation), the flight itself is cancelled; whoever boards
while it is still landing waits and starts a new one. Called by `distribution.pull`, with blob digests as keys.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from typing import Generic, TypeVar

from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.progress import Message, Progress

R = TypeVar("R")
Work = Callable[[Progress, Cancellation], R]


class _Flight(Generic[R]):
    def __init__(self) -> None:
        self.cancellation = Cancellation()
        self.landed = threading.Event()
        self.passengers: list[tuple[Future[R], Progress]] = []
        self.last: Message | None = None


class Flights(Generic[R]):
    """Flights by key; thread-safe. `progress` callables must return at once. `limit` is the number of threads in the pool."""

    def __init__(self, pool: ThreadPoolExecutor, limit: int) -> None:
        self._pool = pool
        self._limit = limit
        self._lock = threading.Lock()
        self._flights: dict[str, _Flight[R]] = {}

    def move(self, pool: ThreadPoolExecutor, limit: int) -> None:
        """New flights start from another pool; those in the air and those that wait stay where they are."""
        with self._lock:
            self._pool, self._limit = pool, limit

    def board(
        self, key: str, work: Work[R], progress: Progress, waiting: Message | None = None
    ) -> tuple[Future[R], bool]:
        """Joins or starts the flight and tells whether it is a new one; never blocks.

        `progress` is called from the flight's thread. A passenger sees `waiting` when the flight has to queue.
        `Future.cancel()` of the seat does not leave the flight: use `leave`. Cancelled after the pool's end.
        """
        seat: Future[R] = Future()
        with self._lock:
            flight = self._flights.get(key)
            if flight is not None and flight.cancellation.is_cancelled:
                before, flight = flight, None
            else:
                before = None
            is_new = flight is None
            if flight is None:
                flight = _Flight[R]()
                flight.last = waiting if len(self._flights) >= self._limit else None
                try:
                    self._pool.submit(self._fly, key, flight, work, before)
                except RuntimeError:  # the pool was shut down: the daemon stops
                    raise Cancelled from None
                self._flights[key] = flight
            flight.passengers.append((seat, progress))
            if flight.last is not None:
                progress(flight.last)
        return seat, is_new

    def leave(self, key: str, seat: Future[R]) -> None:
        """Gives the seat up: it ends with Cancelled, and the flight with it when nobody else is aboard."""
        abandoned: list[_Flight[R]] = []
        with self._lock:
            for flight in [self._flights[key]] if key in self._flights else []:
                staying = [passenger for passenger in flight.passengers if passenger[0] is not seat]
                if len(staying) < len(flight.passengers) and not staying:
                    abandoned.append(flight)
                flight.passengers = staying
        for flight in abandoned:
            flight.cancellation.cancel()
        settle(seat, error=Cancelled())

    def _fly(self, key: str, flight: _Flight[R], work: Work[R], before: _Flight[R] | None) -> None:
        if before is not None:
            before.landed.wait()
        result: R | None = None
        error: BaseException | None = None
        try:
            flight.cancellation.check()
            result = work(lambda message: self._announce(flight, message), flight.cancellation)
        except BaseException as failure:  # noqa: BLE001 - handed to every passenger
            error = failure
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
            passengers, flight.passengers = flight.passengers, []
        flight.landed.set()
        for seat, _ in passengers:
            settle(seat, result, error)

    def _announce(self, flight: _Flight[R], message: Message) -> None:
        with self._lock:
            flight.last = message
            for _, progress in flight.passengers:
                progress(message)


def settle(seat: Future[R], result: R | None = None, error: BaseException | None = None) -> None:
    try:
        if error is not None:
            seat.set_exception(error)
        else:
            seat.set_result(result)  # pyright: ignore[reportArgumentType] - None only where R allows it
    except InvalidStateError:
        return
