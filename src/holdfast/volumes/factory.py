# SPDX-License-Identifier: Apache-2.0
"""The volume drivers by name: our own, and whatever answers in the plugin directory. The only importer of `drivers`."""

from __future__ import annotations

from holdfast.errors import NotFound
from holdfast.volumes.driver import Driver
from holdfast.volumes.drivers.local import Local, resolve_host
from holdfast.volumes.volume import LOCAL

__all__ = ["Drivers", "Local"]


class Drivers:
    """Finds drivers; `local` is always there."""

    def __init__(self, root: str) -> None:
        self.local = Local(root, resolve_host)

    def find(self, name: str) -> Driver:
        """The driver of that name; NotFound in Docker's words."""
        if name in ("", LOCAL):
            return self.local
        raise NotFound(f'error looking up volume plugin {name}: plugin "{name}" not found')
