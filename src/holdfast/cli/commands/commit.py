# SPDX-License-Identifier: Apache-2.0
"""`hold commit`: an image from what a container changed."""

from __future__ import annotations

from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("author", "a", "string", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
    Flag("change", "c", "list", "Apply Dockerfile instruction to the created image"),
    Flag("message", "m", "string", "Commit message"),
    Flag("pause", "p", "bool", "Pause container during commit", default=True),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints the new image's id."""
    name = arguments[1] if len(arguments) > 1 else ""
    repository, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        repository, tag = name, ""
    query: dict[str, Any] = {
        "container": arguments[0],
        "repo": repository or None,
        "tag": tag or None,
        "author": values["author"] or None,
        "comment": values["message"] or None,
        "changes": values["change"],
        "pause": None if values["pause"] else "0",
    }
    print(session.api.call("POST", "/commit", query=query)["Id"])
    return 0


COMMAND = Command(
    "commit",
    "commit [OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    run,
    _FLAGS,
    minimum=1,
    maximum=2,
)
