# SPDX-License-Identifier: Apache-2.0
"""`hold history`: the steps that made an image."""

from __future__ import annotations

import time

from holdfast.cli import listing, platform_flag, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("human", "H", "bool", "Print sizes and dates in human readable format", default=True),
    Flag("no-trunc", "", "bool", "Don't truncate output"),
    Flag("platform", "", "string", "Show history for the given platform: os[/arch[/variant]]"),
    Flag("quiet", "q", "bool", "Only show image IDs"),
)
_HEADS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the newest step first."""
    query = {"platform": platform_flag.to_json(values["platform"]) or None}
    steps: list[dict[str, Any]] = session.api.call("GET", f"/images/{arguments[0]}/history", query=query)
    now = time.time()
    rows = [_row(step, now, values) for step in steps]
    if values["quiet"]:
        for row in rows:
            print(row["ID"])
        return 0
    columns = ("ID", "CreatedSince" if values["human"] else "CreatedAt", "CreatedBy", "Size", "Comment")
    listing.show(rows, _HEADS, columns, form=values["format"], kind="*formatter.historyContext")
    return 0


def _row(step: dict[str, Any], now: float, values: Values) -> dict[str, str]:
    made_by = step["CreatedBy"].replace("\t", " ")
    if not values["no-trunc"] and len(made_by) > 45:
        made_by = made_by[:44] + "…"
    identity = step["Id"] if values["no-trunc"] else step["Id"].removeprefix("sha256:")[:12]
    return {
        "ID": identity,
        "CreatedSince": units.ago(now - step["Created"]) + " ago" if step["Created"] > 0 else "N/A",
        "CreatedAt": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(step["Created"])),
        "CreatedBy": made_by,
        "Size": units.human_size(step["Size"], 3) if values["human"] else str(step["Size"]),
        "Comment": step["Comment"],
    }


COMMAND = Command(
    "history", "history [OPTIONS] IMAGE", "Show the history of an image", run, _FLAGS, minimum=1, maximum=1
)
