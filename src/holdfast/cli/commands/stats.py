# SPDX-License-Identifier: Apache-2.0
"""`hold stats`: what containers use, once or refreshed every second.

Asks for single samples and takes the differences itself, so any number of containers costs one wait of a second.
"""

from __future__ import annotations

import sys
import time

from holdfast import errors
from holdfast.cli import listing, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("all", "a", "bool", "Show all containers (default shows just running)"),
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("no-stream", "", "bool", "Disable streaming stats and only pull the first result"),
    Flag("no-trunc", "", "bool", "Do not truncate output"),
)
_HEADS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_COLUMNS = ("ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs")
_PERIOD_SECONDS = 1.0
_SHORT_ID = 12
_CLEAR = "\x1b[H\x1b[2J"


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints a table; again and again until interrupted unless told otherwise."""
    before = _sample_all(session, values, arguments)
    while True:
        time.sleep(_PERIOD_SECONDS)
        now = _sample_all(session, values, arguments)
        rows = [row(name, sample, before.get(name), shortens=not values["no-trunc"]) for name, sample in now.items()]
        if not values["no-stream"] and not values["format"]:
            sys.stdout.write(_CLEAR)
        listing.show(rows, _HEADS, _COLUMNS, form=values["format"], kind="*container.statsContext")
        sys.stdout.flush()
        if values["no-stream"]:
            return 0
        before = now


def _sample_all(session: Session, values: Values, arguments: list[str]) -> dict[str, dict[str, Any]]:
    """By the name that was asked for, or by id."""
    names = arguments
    if not names:
        found: list[dict[str, Any]] = session.api.call("GET", "/containers/json", query={"all": values["all"]})
        names = [each["Id"] for each in found]
    samples: dict[str, dict[str, Any]] = {}
    for name in names:
        try:
            query = {"stream": "0", "one-shot": "1"}
            samples[name] = session.api.call("GET", f"/containers/{name}/stats", query=query)
        except errors.NotFound:
            if arguments:
                raise
    return samples


def row(name: str, now: dict[str, Any], before: dict[str, Any] | None, *, shortens: bool) -> dict[str, str]:
    """One line of the table from two samples of a container."""
    memory: dict[str, Any] = now["memory_stats"]
    used, limit = _memory_used(memory), memory.get("limit", 0)
    networks: dict[str, dict[str, int]] = now.get("networks") or {}
    received = sum(each["rx_bytes"] for each in networks.values())
    sent = sum(each["tx_bytes"] for each in networks.values())
    read, written = _blocks(now["blkio_stats"].get("io_service_bytes_recursive") or [])
    return {
        "Container": name,
        "ID": now["id"][:_SHORT_ID] if shortens else now["id"],
        "Name": now["name"].lstrip("/"),
        "CPUPerc": f"{cpu_percent(now, before):.2f}%",
        "MemUsage": f"{binary_size(used)} / {binary_size(limit)}",
        "MemPerc": f"{100 * used / limit if limit else 0:.2f}%",
        "NetIO": f"{units.human_size(received, 3)} / {units.human_size(sent, 3)}",
        "BlockIO": f"{units.human_size(read, 3)} / {units.human_size(written, 3)}",
        "PIDs": str(now["pids_stats"].get("current", 0)),
    }


def cpu_percent(now: dict[str, Any], before: dict[str, Any] | None) -> float:
    """The share of one processor that was used between two samples."""
    if before is None:
        return 0.0
    new, old = now["cpu_stats"], before["cpu_stats"]
    used = new["cpu_usage"]["total_usage"] - old["cpu_usage"]["total_usage"]
    passed = new.get("system_cpu_usage", 0) - old.get("system_cpu_usage", 0)
    return 100.0 * used / passed * new.get("online_cpus", 1) if used > 0 and passed > 0 else 0.0


def binary_size(size_bytes: float) -> str:
    """135168 becomes "132KiB" (four significant digits, powers of 1024)."""
    names = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
    unit = 0
    while size_bytes >= 1024 and unit < len(names) - 1:
        size_bytes /= 1024
        unit += 1
    return f"{size_bytes:.4g}{names[unit]}"


def _memory_used(memory: dict[str, Any]) -> int:
    """Without the page cache that can be dropped, as the docker CLI shows it."""
    usage: int = memory.get("usage", 0)
    details: dict[str, int] = memory.get("stats") or {}
    cache = details.get("total_inactive_file", details.get("inactive_file", 0))
    return usage - cache if cache < usage else usage


def _blocks(entries: list[dict[str, Any]]) -> tuple[int, int]:
    totals = {"r": 0, "w": 0}
    for entry in entries:
        letter = entry["op"][:1].lower()
        if letter in totals:
            totals[letter] += entry["value"]
    return totals["r"], totals["w"]


COMMAND = Command(
    "stats",
    "stats [OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    run,
    _FLAGS,
)
