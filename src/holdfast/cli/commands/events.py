# SPDX-License-Identifier: Apache-2.0
"""`hold events`: what happens in the daemon, as it happens."""

from __future__ import annotations

import json
import time

from holdfast.cli import filters, table
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("filter", "f", "list", "Filter output based on conditions provided"),
    Flag("format", "", "string", "Format output using a custom template: 'json' or TEMPLATE"),
    Flag("since", "", "string", "Show all events created since timestamp"),
    Flag("until", "", "string", "Stream events until this timestamp"),
)


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """One line per event until `--until`, or for ever."""
    query = {
        "since": values["since"] or None,
        "until": values["until"] or None,
        "filters": filters.parse(values["filter"]),
    }
    form = values["format"]
    for event in session.api.messages("GET", "/events", query=query):
        print(_line(event) if not form else _formatted(event, form), flush=True)
    return 0


def _formatted(event: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(event, separators=(",", ":"))
    from holdfast.cli.template import Template

    return table.printable(Template(form).render(event))


def _line(event: dict[str, Any]) -> str:
    seconds, nanos = divmod(event["timeNano"], 10**9)
    zone = time.strftime("%z", time.localtime(seconds))
    moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(seconds)) + f".{nanos:09d}{zone[:3]}:{zone[3:]}"
    actor = event["Actor"]
    attributes = ", ".join(f"{key}={value}" for key, value in sorted(actor["Attributes"].items()))
    shown = f" ({attributes})" if attributes else ""
    return table.printable(f"{moment} {event['Type']} {event['Action']} {actor['ID']}{shown}")


COMMAND = Command("events", "events [OPTIONS]", "Get real time events from the server", run, _FLAGS, maximum=0)
