# SPDX-License-Identifier: Apache-2.0
"""`hold system df`: what images, containers and volumes take on disk."""

from __future__ import annotations

import time

from holdfast.cli import listing, table, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("verbose", "v", "bool", "Show detailed information on space usage"),
)
_HEADS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_ACTIVE = ("running", "paused", "restarting")


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints four lines, or with `-v` every object."""
    document: dict[str, Any] = session.api.call("GET", "/system/df")
    if values["verbose"] and not values["format"]:
        print("\n".join(_details(document, time.time())))
        return 0
    listing.show(rows(document), _HEADS, tuple(_HEADS), form=values["format"], kind="*formatter.diskUsageContext")
    return 0


def rows(document: dict[str, Any]) -> list[dict[str, str]]:
    """One line for each kind of object."""
    images: list[dict[str, Any]] = document["Images"] or []
    containers: list[dict[str, Any]] = document["Containers"] or []
    volumes: list[dict[str, Any]] = document["Volumes"] or []
    total: int = document["LayersSize"]
    in_use = [image for image in images if image["Containers"] > 0]
    needed = sum(image["Size"] - max(image["SharedSize"], 0) for image in in_use)
    written = sum(each.get("SizeRw", 0) for each in containers)
    idle = sum(each.get("SizeRw", 0) for each in containers if each["State"] not in _ACTIVE)
    sizes = [(each["UsageData"]["RefCount"], max(each["UsageData"]["Size"], 0)) for each in volumes]
    stored = sum(size for _, size in sizes)
    unused = sum(size for count, size in sizes if not count)
    return [
        _row("Images", len(images), len(in_use), total, _share(total - needed, total)),
        _row(
            "Containers",
            len(containers),
            sum(1 for each in containers if each["State"] in _ACTIVE),
            written,
            _share(idle, written),
        ),
        _row("Local Volumes", len(volumes), sum(1 for count, _ in sizes if count), stored, _share(unused, stored)),
        _row("Build Cache", 0, 0, 0, "0B"),
    ]


def _row(kind: str, count: int, active: int, size: int, reclaimable: str) -> dict[str, str]:
    return {
        "Type": kind,
        "TotalCount": str(count),
        "Active": str(active),
        "Size": units.human_size(size),
        "Reclaimable": reclaimable,
    }


def _share(part: int, whole: int) -> str:
    return f"{units.human_size(part)} ({part * 100 // whole}%)" if whole > 0 else units.human_size(part)


def _details(document: dict[str, Any], now: float) -> list[str]:
    return [
        "Images space usage:",
        "",
        _images(document["Images"] or [], now),
        "",
        "Containers space usage:",
        "",
        _containers(document["Containers"] or [], now),
        "",
        "Local Volumes space usage:",
        "",
        _volumes(document["Volumes"] or []),
        "",
        "Build cache usage: 0B",
        "",
        table.render(["CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED"], []),
    ]


def _images(images: list[dict[str, Any]], now: float) -> str:
    heads = ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE", "SHARED SIZE", "UNIQUE SIZE", "CONTAINERS"]
    lines: list[list[str]] = []
    for image in images:
        for name in image.get("RepoTags") or ["<none>:<none>"]:
            repository, _, tag = name.rpartition(":")
            size, shared = image["Size"], max(image["SharedSize"], 0)
            lines.append(
                [
                    repository,
                    tag,
                    image["Id"].removeprefix("sha256:")[:12],
                    units.ago(now - image["Created"]) + " ago" if image["Created"] > 0 else "N/A",
                    units.human_size(size, 3),
                    units.human_size(shared),
                    units.human_size(size - shared),
                    str(image["Containers"]),
                ]
            )
    return table.render(heads, lines)


def _containers(containers: list[dict[str, Any]], now: float) -> str:
    heads = ["CONTAINER ID", "IMAGE", "COMMAND", "LOCAL VOLUMES", "SIZE", "CREATED", "STATUS", "NAMES"]
    lines = [
        [
            each["Id"][:12],
            each["Image"],
            f'"{_shortened(each["Command"])}"',
            str(sum(1 for point in each["Mounts"] if point["Type"] == "volume")),
            units.human_size(each.get("SizeRw", 0), 3),
            units.ago(now - each["Created"]) + " ago",
            each["Status"],
            ",".join(name.lstrip("/") for name in each["Names"]),
        ]
        for each in containers
    ]
    return table.render(heads, lines)


def _shortened(command: str) -> str:
    return command if len(command) <= 20 else command[:19] + "…"


def _volumes(volumes: list[dict[str, Any]]) -> str:
    lines = [
        [each["Name"], str(each["UsageData"]["RefCount"]), units.human_size(max(each["UsageData"]["Size"], 0))]
        for each in volumes
    ]
    return table.render(["VOLUME NAME", "LINKS", "SIZE"], lines)


COMMAND = Command("df", "system df [OPTIONS]", "Show Holdfast disk usage", run, _FLAGS, maximum=0)
