# SPDX-License-Identifier: Apache-2.0
"""`hold ps`: the list of containers."""

from __future__ import annotations

import time

from holdfast.cli import filters, listing, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("all", "a", "bool", "Show all containers (default shows just running)"),
    Flag("filter", "f", "list", "Filter output based on conditions provided"),
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("last", "n", "int", "Show n last created containers (includes all states)", default=-1),
    Flag("latest", "l", "bool", "Show the latest created container (includes all states)"),
    Flag("no-trunc", "", "bool", "Don't truncate output"),
    Flag("quiet", "q", "bool", "Only display container IDs"),
    Flag("size", "s", "bool", "Display total file sizes"),
)
_HEADS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
    "Names": "NAMES",
    "State": "STATE",
    "Size": "SIZE",
    "Labels": "LABELS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
}
_COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints the containers, newest first."""
    limit = 1 if values["latest"] else values["last"]
    query = {
        "all": values["all"] or limit > 0,
        "limit": limit if limit > 0 else None,
        "size": values["size"],
        "filters": filters.parse(values["filter"]),
    }
    containers: list[dict[str, Any]] = session.api.call("GET", "/containers/json", query=query)
    if values["quiet"] and not values["format"]:
        for container in containers:
            print(container["Id"] if values["no-trunc"] else container["Id"][:12])
        return 0
    now = time.time()
    rows = [_row(container, now, is_whole=values["no-trunc"]) for container in containers]
    columns = (*_COLUMNS, "Size") if values["size"] else _COLUMNS
    listing.show(rows, _HEADS, columns, form=values["format"], kind="*formatter.ContainerContext")
    return 0


def _row(container: dict[str, Any], now: float, *, is_whole: bool) -> dict[str, str]:
    command = container["Command"]
    if not is_whole and len(command) > 20:
        command = command[:19] + "…"
    mounts = [mount.get("Name") or mount.get("Source", "") for mount in container.get("Mounts") or ()]
    labels: dict[str, str] = container.get("Labels") or {}
    settings: dict[str, dict[str, Any]] = container.get("NetworkSettings") or {}
    image = container["Image"] or "<no image>"
    if not is_whole and image.startswith("sha256:"):
        image = image[7:19]
    return {
        "ID": container["Id"] if is_whole else container["Id"][:12],
        "Image": image,
        "Command": f'"{command}"',
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(container["Created"])),
        "RunningFor": units.ago(now - container["Created"]) + " ago",
        "Status": container["Status"],
        "State": container["State"],
        "Ports": ports_text(container.get("Ports") or []),
        "Names": ",".join(name.lstrip("/") for name in container["Names"] if name.count("/") == 1 or is_whole),
        "Size": _size_text(container),
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(labels.items())),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in container.get("Mounts") or ())),
        "Mounts": ",".join(mount if is_whole or len(mount) <= 15 else mount[:14] + "…" for mount in mounts),
        "Networks": ",".join(settings.get("Networks") or {}),
    }


def _size_text(container: dict[str, Any]) -> str:
    writable = units.human_size(container.get("SizeRw") or 0, 3)
    root = container.get("SizeRootFs") or 0
    return f"{writable} (virtual {units.human_size(root, 3)})" if root else writable


def ports_text(ports: list[dict[str, Any]]) -> str:
    """`0.0.0.0:8000-8001->80-81/tcp, 443/tcp`: consecutive ports are joined, published ones come with their address."""
    groups: list[tuple[str, str, int, int, int]] = []  # address, protocol, first private, first public, count
    for port in sorted(ports, key=lambda p: (p["Type"], p.get("IP", ""), p["PrivatePort"], p.get("PublicPort", 0))):
        address, protocol, private, public = (
            port.get("IP", ""),
            port["Type"],
            port["PrivatePort"],
            port.get("PublicPort", 0),
        )
        if groups:
            last_address, last_protocol, first_private, first_public, count = groups[-1]
            follows_public = public == first_public + count if public else not first_public
            if (
                (last_address, last_protocol) == (address, protocol)
                and private == first_private + count
                and follows_public
            ):
                groups[-1] = (address, protocol, first_private, first_public, count + 1)
                continue
        groups.append((address, protocol, private, public, 1))
    return ", ".join(_group_text(*group) for group in groups)


def _group_text(address: str, protocol: str, private: int, public: int, count: int) -> str:
    inside = str(private) if count == 1 else f"{private}-{private + count - 1}"
    if not public:
        return f"{inside}/{protocol}"
    outside = str(public) if count == 1 else f"{public}-{public + count - 1}"
    shown = f"[{address}]" if ":" in address else address
    return f"{shown}:{outside}->{inside}/{protocol}" if shown else f"{outside}->{inside}/{protocol}"


COMMAND = Command("ps", "ps [OPTIONS]", "List containers", run, _FLAGS, maximum=0)
