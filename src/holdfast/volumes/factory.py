# SPDX-License-Identifier: Apache-2.0
"""The volume drivers by name: our own, and whatever listens in the plugin directory. The only importer of `drivers`."""

from __future__ import annotations

import os
import re

from holdfast.errors import NotFound
from holdfast.volumes.driver import Driver
from holdfast.volumes.drivers.local import Local, resolve_host
from holdfast.volumes.volume import LOCAL

PLUGINS = "/run/docker/plugins"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}", re.ASCII)


class Drivers:
    """Finds drivers; `local` is always there."""

    def __init__(self, root: str, plugins: str = PLUGINS) -> None:
        self.local = Local(root, resolve_host)
        self._plugins = plugins
        self._active: dict[str, Driver] = {}

    def find(self, name: str) -> Driver:
        """The driver of that name; NotFound in Docker's words, Unavailable when its socket is there and it is not."""
        if name in ("", LOCAL):
            return self.local
        path = f"{self._plugins}/{name}.sock"
        if not _NAME.fullmatch(name) or ".." in name or not os.path.exists(path):
            self._active.pop(name, None)
            raise NotFound(f'error looking up volume plugin {name}: plugin "{name}" not found')
        if name not in self._active:
            from holdfast.volumes.drivers.plugin import Plugin  # few hosts have one

            plugin = Plugin(name, path)
            plugin.activate()
            self._active[name] = plugin
        return self._active[name]
