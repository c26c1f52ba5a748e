# SPDX-License-Identifier: Apache-2.0
"""`hold tag`: give an image one more name."""

from __future__ import annotations

from holdfast.cli.flags import Command, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session


def run(session: Session, _values: Values, arguments: list[str]) -> int:
    """Prints nothing, as Docker."""
    repository, colon, tag = arguments[1].rpartition(":")
    if not colon or "/" in tag:
        repository, tag = arguments[1], "latest"
    session.api.call("POST", f"/images/{arguments[0]}/tag", query={"repo": repository, "tag": tag})
    return 0


COMMAND = Command(
    "tag",
    "tag SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    run,
    minimum=2,
    maximum=2,
)
