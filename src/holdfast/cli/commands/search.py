# SPDX-License-Identifier: Apache-2.0
"""`hold search`: look for images in an index."""

from __future__ import annotations

from holdfast.cli import filters, listing, registry_auth
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("filter", "f", "list", "Filter output based on conditions provided"),
    Flag("format", "", "string", "Pretty-print search using a Go template"),
    Flag("limit", "", "int", "Max number of search results"),
    Flag("no-trunc", "", "bool", "Don't truncate output"),
)
_HEADS = {"Name": "NAME", "Description": "DESCRIPTION", "StarCount": "STARS", "IsOfficial": "OFFICIAL"}
_DESCRIPTION_LENGTH = 45


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints what the index knows."""
    query = {"term": arguments[0], "limit": values["limit"] or None, "filters": filters.parse(values["filter"])}
    headers = registry_auth.header_for_image(arguments[0])
    found: list[dict[str, Any]] = session.api.call("GET", "/images/search", query=query, headers=headers) or []
    rows = [
        {
            "Name": str(each["name"]),
            "Description": _shortened(str(each["description"]), values["no-trunc"]),
            "StarCount": str(each["star_count"]),
            "IsOfficial": "[OK]" if each["is_official"] else "",
        }
        for each in found
    ]
    listing.show(rows, _HEADS, list(_HEADS), form=values["format"], kind="*search.searchContext")
    return 0


def _shortened(text: str, is_whole: bool) -> str:
    text = text.replace("\n", " ").replace("\r", " ")
    return text if is_whole or len(text) <= _DESCRIPTION_LENGTH else text[: _DESCRIPTION_LENGTH - 1] + "…"


COMMAND = Command("search", "search [OPTIONS] TERM", "Search Docker Hub for images", run, _FLAGS, minimum=1, maximum=1)
