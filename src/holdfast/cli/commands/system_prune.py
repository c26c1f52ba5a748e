# SPDX-License-Identifier: Apache-2.0
"""`hold system prune`: remove stopped containers, unused networks, dangling images, build cache, volumes on wish."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import confirmation, filters, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("all", "a", "bool", "Remove all unused images not just dangling ones"),
    Flag("filter", "", "list", 'Provide filter values (e.g. "label=<key>=<value>")', placeholder="filter"),
    Flag("force", "f", "bool", "Do not prompt for confirmation"),
    Flag("volumes", "", "bool", "Prune anonymous volumes"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Asks, then prints what went, kind by kind, and what that gained."""
    wanted = filters.parse(values["filter"])
    if values["volumes"] and "until" in wanted:
        raise errors.InvalidArgument('ERROR: The "until" filter is not supported with "--volumes"')
    if not values["force"] and not confirmation.is_given(_warning(values)):
        return 0
    freed = 0
    for noun, title, member, query in _steps(values, wanted):
        pruned: dict[str, Any] = session.api.call("POST", f"/{noun}/prune", query=query) or {}
        freed += pruned.get("SpaceReclaimed", 0)
        if pruned.get(member):
            print(f"Deleted {title}:")
            print("\n".join(_line(item) for item in pruned[member]), end="\n\n")
    print(f"Total reclaimed space: {units.human_size(freed)}")
    return 0


def _steps(values: Values, wanted: dict[str, Any]) -> list[tuple[str, str, str, dict[str, Any]]]:
    plain: dict[str, Any] = {"filters": wanted} if wanted else {}
    images = {"filters": {"dangling": {"false" if values["all"] else "true": True}, **wanted}}
    steps = [
        ("containers", "Containers", "ContainersDeleted", plain),
        ("networks", "Networks", "NetworksDeleted", plain),
    ]
    if values["volumes"]:
        steps.append(("volumes", "Volumes", "VolumesDeleted", plain))
    steps.append(("images", "Images", "ImagesDeleted", images))
    return [*steps, ("build", "build cache objects", "CachesDeleted", plain | {"all": values["all"]})]


def _line(item: str | dict[str, str]) -> str:
    if isinstance(item, str):
        return item
    return f"untagged: {item['Untagged']}" if item.get("Untagged") else f"deleted: {item['Deleted']}"


def _warning(values: Values) -> str:
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if values["volumes"]:
        lines.append("all anonymous volumes not used by at least one container")
    lines.append(
        "all images without at least one container associated to them" if values["all"] else "all dangling images"
    )
    return "This will remove:\n" + "".join(f"  - {line}\n" for line in lines)


COMMAND = Command("system prune", "system prune [OPTIONS]", "Remove unused data", run, _FLAGS, maximum=0)
