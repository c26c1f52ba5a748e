# SPDX-License-Identifier: Apache-2.0
"""`hold-runc events`: what a container uses, as one JSON line per interval, and a line when it ran out of memory."""

from __future__ import annotations

import json
import time

from holdfast.errors import Conflict, InvalidArgument
from holdfast.runtime.commands import flags, pause

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.commands.context import Context
    from holdfast.runtime.commands.flags import Flags

USAGE = "events [command options] <container-id>"
FLAGS = {"interval": flags.VALUE, "stats": flags.SWITCH}
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_OOM_POLL_SECONDS = 0.25


def run(given: Context, options: Flags) -> int:
    """Prints until the container stops; with --stats once."""
    record = given.load(options.arguments, "events")
    interval = parse_duration(options.text("interval", "5s"))
    if interval <= 0:
        raise InvalidArgument("duration interval must be greater than 0")
    if record.status() == "stopped":
        raise Conflict(f"container with id {record.container_id} is not running")
    cgroup = pause.cgroup_of(record)
    kills = cgroup.oom_kills()
    following = 0.0
    while record.is_alive():
        now = time.monotonic()
        if now >= following:
            _print("stats", record.container_id, cgroup.stats())
            following = now + interval
            if options.switch("stats"):
                return 0
        time.sleep(max(min(_OOM_POLL_SECONDS, following - time.monotonic()), 0.001))
        seen = cgroup.oom_kills()
        if seen > kills:
            _print("oom", record.container_id, None)
            kills = seen
    return 0


def parse_duration(text: str) -> float:
    """Go's durations of one unit (`500ms`, `5s`, `1m`) in seconds."""
    for unit, seconds in _UNITS.items():
        number = text.removesuffix(unit)
        if number != text and number.replace(".", "", 1).isdigit():
            return float(number) * seconds
    raise InvalidArgument(f'invalid value "{text}" for flag -interval: it must be a duration such as 5s')


def _print(kind: str, container_id: str, data: dict[str, object] | None) -> None:
    event: dict[str, object] = {"type": kind, "id": container_id}
    if data is not None:
        event["data"] = data
    print(json.dumps(event), flush=True)  # noqa: T201  (a command's output)
