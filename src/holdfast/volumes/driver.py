# SPDX-License-Identifier: Apache-2.0
"""What a volume driver can do.

The store keeps records, counts users and calls a driver for one volume at a time:

    driver.create("data", {})                    # somewhere that outlives containers
    path = driver.mount(volume, container_id)    # where containers find it; once for each of them
    driver.unmount(volume, container_id, is_last=True)
    driver.remove(volume)

All methods are synchronous and may block for as long as a network or a plugin does. Errors are those of `errors`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from holdfast.errors import Unavailable
from holdfast.volumes.discovery import Address
from holdfast.volumes.volume import Described, Volume


class Absent(Unavailable):
    """Nobody listens where the driver should: nothing has been done, and it may be there in a moment."""


class Driver(Protocol):
    """A volume driver; `factory.Drivers` finds them by name. `scope` is `global` when other hosts have its volumes, too."""

    name: str
    scope: str

    def create(self, name: str, options: Mapping[str, str]) -> str:
        """Makes the volume and returns its mount point (empty: known while mounted only); InvalidArgument."""
        ...

    def confirm(self, name: str) -> None:
        """The record of a new volume is on disk. What was created and never confirmed goes at the next start."""
        ...

    def mount(self, volume: Volume, user: str, *, is_first: bool) -> str:
        """Makes the content appear for one user and returns the directory."""
        ...

    def unmount(self, volume: Volume, user: str, *, is_last: bool) -> None:
        """One user has gone; nothing happens when there is nothing mounted."""
        ...

    def remove(self, volume: Volume) -> None:
        """Deletes the volume and its content; one that is gone already is no error."""
        ...


class Keeper(Driver, Protocol):
    """A driver that may have volumes which no record of ours knows, and knows more of them than we do: a plugin."""

    address: Address

    def describe(self, name: str) -> Described | None:
        """The volume as it is now; None when there is none."""
        ...

    def list(self) -> list[Described]:
        """All its volumes; Unavailable."""
        ...
