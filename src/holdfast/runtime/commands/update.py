# SPDX-License-Identifier: Apache-2.0
"""`hold-runc update`: other limits for a living container, from JSON (--resources FILE or -) or from flags."""

from __future__ import annotations

import sys

from holdfast.errors import Conflict, InvalidArgument
from holdfast.runtime import bundle
from holdfast.runtime.commands import flags, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "update [command options] <container-id>"
# flag -> (section, key, is a number)
_FIELDS = {
    "blkio-weight": ("blockIO", "weight", True),
    "cpu-period": ("cpu", "period", True),
    "cpu-quota": ("cpu", "quota", True),
    "cpu-burst": ("cpu", "burst", True),
    "cpu-share": ("cpu", "shares", True),
    "cpu-rt-period": ("cpu", "realtimePeriod", True),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime", True),
    "cpu-idle": ("cpu", "idle", True),
    "cpuset-cpus": ("cpu", "cpus", False),
    "cpuset-mems": ("cpu", "mems", False),
    "memory": ("memory", "limit", True),
    "memory-reservation": ("memory", "reservation", True),
    "memory-swap": ("memory", "swap", True),
    "pids-limit": ("pids", "limit", True),
}
FLAGS = {
    "r,resources": flags.VALUE,
    **{name: flags.NUMBER if is_number else flags.VALUE for name, (_, _, is_number) in _FIELDS.items()},
}


def run(given: Context, options: Flags) -> int:
    """Updates; a value that is not named stays."""
    record = given.load(options.arguments, "update")
    if record.status() == "stopped":
        raise Conflict("container not running")
    source = options.text("resources")
    resources = _read(source) if source else plan_resources(options)
    if not any(resources.values()):
        return 0
    pause.cgroup_of(record).update({key: value for key, value in resources.items() if key != "devices"})
    kept: dict[str, Any] = record.spec.setdefault("linux", {}).setdefault("resources", {})
    for section, values in resources.items():
        if isinstance(values, dict):
            kept[section] = {**(kept.get(section) or {}), **values}
    given.store.save(record)
    return 0


def plan_resources(options: Flags) -> dict[str, Any]:
    """The flags as OCI resources."""
    resources: dict[str, Any] = {}
    for name, (section, key, is_number) in _FIELDS.items():
        value = options.number(name) if is_number else options.text(name)
        if value not in (None, ""):
            resources.setdefault(section, {})[key] = value
    return resources


def _read(source: str) -> dict[str, Any]:
    if source != "-":
        try:
            return bundle.load_json(source)
        except FileNotFoundError:
            raise InvalidArgument(f"open {source}: no such file or directory") from None
    return bundle.parse_object(sys.stdin.buffer.read(), "standard input")
