# SPDX-License-Identifier: Apache-2.0
"""`hold pull`: download an image from a registry."""

from __future__ import annotations

from holdfast.cli import attachment
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("disable-content-trust", "", "bool", "Skip image verification", default=True),
    Flag("platform", "", "string", "Set platform if server is multi-platform capable"),
    Flag("quiet", "q", "bool", "Suppress verbose output"),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Shows the layers' progress, then the full name."""
    name = arguments[0]
    has_tag = "@" in name or ":" in name.rpartition("/")[2]
    if not has_tag and not values["quiet"]:
        print("Using default tag: latest")
    attachment.pull(session, name, platform=values["platform"], quiet=values["quiet"])
    print(_full_name(name if has_tag else f"{name}:latest"))
    return 0


def _full_name(name: str) -> str:
    """alpine:3.20 becomes docker.io/library/alpine:3.20."""
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return f"{first}/{rest}"
    return f"docker.io/{name}" if slash else f"docker.io/library/{name}"


COMMAND = Command(
    "pull", "pull [OPTIONS] NAME[:TAG|@DIGEST]", "Download an image from a registry", run, _FLAGS, minimum=1, maximum=1
)
