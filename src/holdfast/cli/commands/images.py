# SPDX-License-Identifier: Apache-2.0
"""`hold images`: the list of images."""

from __future__ import annotations

import time

from holdfast.cli import filters, listing, units
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("all", "a", "bool", "Show all images (default hides intermediate images)"),
    Flag("digests", "", "bool", "Show digests"),
    Flag("filter", "f", "list", "Filter output based on conditions provided"),
    Flag(
        "format", "", "string", "Format output using a custom template: 'table', 'table TEMPLATE', 'json' or TEMPLATE"
    ),
    Flag("no-trunc", "", "bool", "Don't truncate output"),
    Flag("quiet", "q", "bool", "Only show image IDs"),
)
_HEADS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
}
_NONE = "<none>"


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the images, newest first, one row per tag."""
    wire = filters.parse(values["filter"])
    if arguments:
        wire.setdefault("reference", {})[arguments[0]] = True
    query = {"all": values["all"], "filters": wire}
    images: list[dict[str, Any]] = session.api.call("GET", "/images/json", query=query)
    now = time.time()
    rows = [row for image in images for row in _rows(image, now, values)]
    if values["quiet"] and not values["format"]:
        for row in rows:
            print(row["ID"])
        return 0
    columns = ["Repository", "Tag", *(["Digest"] if values["digests"] else []), "ID", "CreatedSince", "Size"]
    listing.show(rows, _HEADS, columns, form=values["format"], kind="*formatter.imageContext")
    return 0


def _rows(image: dict[str, Any], now: float, values: Values) -> list[dict[str, str]]:
    digests = dict(text.split("@", 1) for text in image.get("RepoDigests") or () if "@" in text)
    common = {
        "ID": image["Id"] if values["no-trunc"] else image["Id"].removeprefix("sha256:")[:12],
        "CreatedSince": units.ago(now - image["Created"]) + " ago" if image["Created"] > 0 else "N/A",
        "CreatedAt": time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(image["Created"])),
        "Size": units.human_size(image["Size"], 3),
    }
    tags = [tag for tag in image.get("RepoTags") or () if tag != "<none>:<none>"]
    rows: list[dict[str, str]] = []
    for text in tags:
        repository, _, tag = text.rpartition(":")
        rows.append({"Repository": repository, "Tag": tag, "Digest": digests.get(repository, _NONE), **common})
    if not tags:
        repository, digest = next(iter(digests.items()), (_NONE, _NONE))
        rows.append({"Repository": repository, "Tag": _NONE, "Digest": digest, **common})
    return rows


COMMAND = Command("images", "images [OPTIONS] [REPOSITORY[:TAG]]", "List images", run, _FLAGS, maximum=1)
