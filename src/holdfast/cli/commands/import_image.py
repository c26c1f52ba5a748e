# SPDX-License-Identifier: Apache-2.0
"""`hold import`: a root filesystem's tarball as an image of one layer."""

from __future__ import annotations

import sys

from holdfast.cli.commands.load import open_input, pieces_of
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("change", "c", "list", "Apply Dockerfile instruction to the created image"),
    Flag("message", "m", "string", "Set commit message for imported image"),
    Flag("platform", "", "string", "Set platform if server is multi-platform capable"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the new image's id."""
    source, name = arguments[0], arguments[1] if len(arguments) > 1 else ""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    is_remote = source.startswith(("http://", "https://"))
    query: dict[str, Any] = {
        "fromSrc": source if is_remote else "-",
        "repo": repository or None,
        "tag": tag or None,
        "message": values["message"] or None,
        "changes": values["change"],
        "platform": values["platform"] or None,
    }
    if is_remote:
        _show(session.api.messages("POST", "/images/create", query=query))
        return 0
    file = sys.stdin.buffer if source == "-" else open_input(source)
    headers = {"Content-Type": "application/x-tar"}
    _show(session.api.messages("POST", "/images/create", query=query, headers=headers, body=pieces_of(file)))
    return 0


def _show(messages: Any) -> None:
    from holdfast.cli import progress

    progress.show(messages)


COMMAND = Command(
    "import",
    "import [OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    run,
    _FLAGS,
    minimum=1,
    maximum=2,
)
