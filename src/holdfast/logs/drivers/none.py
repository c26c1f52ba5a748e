# SPDX-License-Identifier: Apache-2.0
"""The driver that keeps nothing; the shortest one, a pattern for others.

Cost: none. Limit: `logs` of such a container is refused by the engine. Options are not looked at, as in Docker.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.logs.driver import Poll, Target


def check(given: Mapping[str, str]) -> None:
    """Refuses nothing."""


def open_writer(target: Target) -> NoneWriter:
    """Opens nothing."""
    return NoneWriter()


class NoneWriter:
    """Forgets what it is told."""

    __slots__ = ()

    is_full = False
    is_busy = False

    def watch(self, poll: Poll, on_room: Callable[[], None]) -> None:
        """Is never full, so it has nothing to tell."""

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Takes a piece and drops it."""

    def close(self, now: int) -> None:
        """Has nothing to close."""
