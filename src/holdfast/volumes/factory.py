# SPDX-License-Identifier: Apache-2.0
"""The volume drivers by name: our own, and the plugins that can be found. The only importer of `drivers`."""

from __future__ import annotations

import time

from holdfast.errors import HoldfastError, NotFound
from holdfast.volumes import discovery
from holdfast.volumes.discovery import Places
from holdfast.volumes.driver import Absent, Driver, Keeper
from holdfast.volumes.drivers.local import Local, resolve_host
from holdfast.volumes.volume import LOCAL, Volume

_PAUSE_SECONDS = 0.2


class Drivers:
    """Finds drivers; `local` is always there."""

    def __init__(self, root: str, places: Places, patience_seconds: float) -> None:
        self.local = Local(root, resolve_host)
        self._places = places
        self._patience_seconds = patience_seconds
        self._active: dict[str, Keeper] = {}

    def find(self, name: str) -> Driver:
        """The driver of that name; NotFound in Docker's words, Unavailable when it is told of and does not answer."""
        return self.local if name in ("", LOCAL) else self.plugin(name)

    def mount(self, volume: Volume, user: str, *, is_first: bool) -> str:
        """As the volume's driver does; a plugin that is not there may be starting just now: it gets some seconds."""
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                return self.find(volume.driver).mount(volume, user, is_first=is_first)
            except (NotFound, Absent):
                if volume.is_ours or time.monotonic() > deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)

    def plugin(self, name: str) -> Keeper:
        """The same for plugins only."""
        try:
            address = discovery.find(self._places, name)
            active = self._active.get(name)
            if active is not None and active.address == address:
                return active
            from holdfast.volumes.drivers.plugin import Plugin  # few hosts have one

            plugin = Plugin(name, address)
            plugin.activate()
        except HoldfastError as error:
            self._active.pop(name, None)
            raise type(error)(f"error looking up volume plugin {name}: {error.message}") from None
        self._active[name] = plugin
        return plugin

    def plugins(self) -> list[Keeper]:
        """Those that answer, or did so before."""
        found: list[Keeper] = []
        for name in discovery.names(self._places):
            try:
                found.append(self.plugin(name))
            except HoldfastError:
                continue  # of another kind, or not there
        return found

    def names(self) -> list[str]:
        """Of those that are in use, and our own."""
        return sorted([LOCAL, *self._active])
