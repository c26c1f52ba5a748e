# SPDX-License-Identifier: Apache-2.0
"""`hold rmi`: remove image names, and images that have no name left."""

from __future__ import annotations

from holdfast.cli import platform_flag
from holdfast.cli.each import each
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("force", "f", "bool", "Force removal of the image"),
    Flag("no-prune", "", "bool", "Do not delete untagged parents"),
    Flag("platform", "", "list", "Remove only the given platform variant: os[/arch[/variant]]", placeholder="strings"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Prints `Untagged: NAME` and `Deleted: ID` lines."""
    wanted = [platform_flag.to_json(text) for given in values["platform"] for text in given.split(",")]

    def remove(name: str) -> str:
        query = {"force": values["force"], "noprune": values["no-prune"], "platforms": wanted}
        answer: list[dict[str, str]] = session.api.call("DELETE", f"/images/{name}", query=query)
        return "\n".join(f"{verb}: {what}" for entry in answer for verb, what in entry.items())

    return each(session, arguments, remove)


COMMAND = Command("rmi", "rmi [OPTIONS] IMAGE [IMAGE...]", "Remove one or more images", run, _FLAGS, minimum=1)
