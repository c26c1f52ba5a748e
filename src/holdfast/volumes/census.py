# SPDX-License-Identifier: Apache-2.0
"""The volumes that plugins have, beside our records of them: a plugin is asked anew each time, it alone knows.

Every function asks other processes and may block for as long as they take. Called by `volumes.store`.
Source: moby 28 `volume/service`; texts of dockerd 28.5.
"""

from __future__ import annotations

import msgspec

from holdfast.errors import HoldfastError, NotFound
from holdfast.volumes.driver import Keeper
from holdfast.volumes.factory import Drivers
from holdfast.volumes.volume import Described, Volume


def probe(drivers: Drivers, name: str) -> tuple[Volume, Described] | None:
    """The volume of that name of the first plugin that has one; plugins that do not answer have none."""
    for plugin in drivers.plugins():
        try:
            found = plugin.describe(name)
        except HoldfastError:
            continue
        if found is not None:
            return _volume(plugin, found, None), found
    return None


def look(drivers: Drivers, record: Volume) -> tuple[Volume, Described]:
    """A plugin's volume as it is now; NotFound when the plugin has it no more, Unavailable when it does not answer."""
    try:
        plugin = drivers.plugin(record.driver)
        found = plugin.describe(record.name)
    except HoldfastError as error:
        where = f'error while checking if volume "{record.name}" exists in driver "{record.driver}"'
        raise type(error)(f"get {record.name}: {where}: {error.message}") from None
    if found is None:
        raise NotFound(f"get {record.name}: no such volume")
    return _volume(plugin, found, record), found


def survey(drivers: Drivers, records: list[Volume]) -> tuple[list[Volume], list[str]]:
    """All volumes by their names, and what plugins could not be asked; of those, what our records tell."""
    found = {record.name: record for record in records if record.is_ours}
    by_plugin: dict[str, dict[str, Volume]] = {}
    for record in records:
        if not record.is_ours:
            by_plugin.setdefault(record.driver, {})[record.name] = record
    warnings: list[str] = []
    for name in sorted({*by_plugin, *(plugin.name for plugin in drivers.plugins())}):
        known = by_plugin.get(name, {})
        try:
            plugin = drivers.plugin(name)
            listed = [_volume(plugin, each, known.get(each.name)) for each in plugin.list()]
        except HoldfastError as error:
            warnings.append(f"list {name}: {error.message}")
            listed = list(known.values())
        for volume in listed:
            found.setdefault(volume.name, volume)  # a name is one volume's: the first one's
    return sorted(found.values(), key=lambda volume: volume.name), warnings


def _volume(plugin: Keeper, found: Described, record: Volume | None) -> Volume:
    """What the plugin tells, and of our record what only we know."""
    known = record or Volume(name=found.name, mountpoint="", created_nanos=0, driver=plugin.name)
    return msgspec.structs.replace(
        known,
        mountpoint=found.mountpoint,
        created_nanos=found.created_nanos or known.created_nanos,
        scope=plugin.scope,
    )
