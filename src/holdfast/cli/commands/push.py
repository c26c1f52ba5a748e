# SPDX-License-Identifier: Apache-2.0
"""`hold push`: upload an image to a registry."""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import platform_flag, progress, registry_auth
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("all-tags", "a", "bool", "Push all tags of an image to the repository"),
    Flag("disable-content-trust", "", "bool", "Skip image signing", default=True),
    Flag("platform", "", "string", "Push only this platform: os[/arch[/variant]]"),
    Flag("quiet", "q", "bool", "Suppress verbose output"),
)
_LOOPBACK = ("localhost", "127.", "[::1]")


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Shows the layers' progress."""
    name, tag = _split(arguments[0])
    if values["all-tags"]:
        if tag:
            raise errors.InvalidArgument("tag can't be used with --all-tags/-a")
    elif not tag:
        tag = "latest"
        if not values["quiet"]:
            print("Using default tag: latest")
    query = {"tag": tag or None, "platform": platform_flag.to_json(values["platform"]) or None}
    try:
        messages = session.api.messages(
            "POST", f"/images/{name}/push", query=query, headers=registry_auth.header_for_image(name), body=b""
        )
        notes: list[str] = []
        progress.show(_noting(messages, notes), quiet=values["quiet"])
    except errors.HoldfastError as error:
        _explain(name, error)
        raise
    if values["quiet"]:
        print(f"{name}:{tag}" if tag else name)
    for note in notes:
        session.say(note)
    return 0


def _noting(messages: Iterable[dict[str, Any]], notes: list[str]) -> Iterator[dict[str, Any]]:
    """Passes the messages on, and makes a note of an index of which only one image went."""
    for message in messages:
        aux: dict[str, Any] = message.get("aux") or {}
        if aux.get("manifestPushedInsteadOfIndex"):
            went = f"{aux['originalIndex']['digest']} -> {aux['selectedManifest']['digest']}"
            notes.append(
                "\n Info -> Not all multiplatform-content is present and only the available single-platform image was pushed"
                f"\n         {went}"
            )
        yield message


def _explain(name: str, error: errors.HoldfastError) -> None:
    """The next step when there is no registry on this machine."""
    host = name.partition("/")[0]
    if "connection refused" in error.message and host.startswith(_LOOPBACK):
        raise errors.Unavailable(
            f"{error.message}\nno registry listens at {host}: start one with `hold registry serve --listen {host}`"
        ) from error


def _split(name: str) -> tuple[str, str]:
    if "@" in name:
        return name, ""
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


COMMAND = Command(
    "push", "push [OPTIONS] NAME[:TAG]", "Upload an image to a registry", run, _FLAGS, minimum=1, maximum=1
)
