# SPDX-License-Identifier: Apache-2.0
"""`hold inspect`: everything the daemon knows of an object, whatever kind it is."""

from __future__ import annotations

import json

from holdfast import errors
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

FLAGS = (
    Flag("format", "f", "string", "Format output using a custom template: 'json' or TEMPLATE"),
    Flag("size", "s", "bool", "Display total file sizes if the type is container"),
    Flag("type", "", "string", "Only inspect objects of the given type"),
)
# the order in which Docker tries the kinds of object
_PATHS = {
    "container": "/containers/{}/json",
    "image": "/images/{}/json",
    "network": "/networks/{}",
    "volume": "/volumes/{}",
}


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints a JSON array, or one rendering of the template per object."""
    kind = values["type"]
    if kind and kind not in _PATHS:
        raise errors.InvalidArgument(f"unknown type: {kind}: use {', '.join(_PATHS)}")
    return inspect(session, values, arguments, (kind,) if kind else tuple(_PATHS))


def inspect(session: Session, values: Values, names: list[str], kinds: tuple[str, ...]) -> int:
    """Looks each name up among the kinds; names that are nothing are told on stderr and give exit code 1."""
    found: list[dict[str, Any]] = []
    missing: list[str] = []
    for name in names:
        document = _look_up(session, name, kinds, with_size=values["size"])
        if document is None:
            missing.append(name)
        else:
            found.append(document)
    form = values["format"]
    if not form:
        print(json.dumps(found, indent=4, ensure_ascii=False))
    else:
        for document in found:
            print(rendered(document, form))
    for name in missing:
        session.say(f"hold: no such {kinds[0] if len(kinds) == 1 else 'object'}: {name}")
    return 1 if missing else 0


def rendered(document: dict[str, Any], form: str) -> str:
    """The document as compact JSON or through a template."""
    if form == "json":
        return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    from holdfast.cli.template import Template

    return Template(form).render(document)


def _look_up(session: Session, name: str, kinds: tuple[str, ...], *, with_size: bool) -> dict[str, Any] | None:
    for kind in kinds:
        query = {"size": True} if with_size and kind == "container" else None
        try:
            document: dict[str, Any] = session.api.call("GET", _PATHS[kind].format(name), query=query)
        except errors.NotFound:
            continue
        return document
    return None


COMMAND = Command(
    "inspect",
    "inspect [OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on Holdfast objects",
    run,
    FLAGS,
    minimum=1,
)
