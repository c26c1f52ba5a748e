# SPDX-License-Identifier: Apache-2.0
"""The driver that keeps nothing; the shortest one, a pattern for others.

Cost: none. Limit: `logs` of such a container is refused by the engine.
"""

from __future__ import annotations

from holdfast import errors

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


def check(options: Mapping[str, str]) -> None:
    """Raises InvalidArgument for any option: there are none."""
    for name in options:
        raise errors.InvalidArgument(f"unknown log opt '{name}' for none log driver")


def open_writer(path: str, options: Mapping[str, str], attributes: Mapping[str, str]) -> NoneWriter:
    """Opens nothing; every argument is ignored."""
    return NoneWriter()


class NoneWriter:
    """Forgets what it is told."""

    __slots__ = ()

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Takes a piece and drops it."""

    def close(self, now: int) -> None:
        """Has nothing to close."""
