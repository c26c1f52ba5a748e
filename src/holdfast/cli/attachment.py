# SPDX-License-Identifier: Apache-2.0
"""Create, attach, wait, start: the requests behind `run` and `start -a`, in the order that loses no output.

Source: the docker CLI's sequence (create, attach by upgrade, wait with its headers flushed, start).
"""

from __future__ import annotations

import os

from holdfast import errors
from holdfast.cli import progress, registry_auth, session_io
from holdfast.cli.failure import ExitCode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from holdfast.cli.flags import Values
    from holdfast.cli.main import Session


def pull(session: Session, name: str, *, platform: str = "", quiet: bool = False) -> None:
    """Pulls an image and shows its progress; a name without a tag gets `latest`."""
    repository, _, digest = name.partition("@")
    head, colon, tag = repository.rpartition(":")
    if not colon or "/" in tag:
        head, tag = repository, "latest"
    query = {"fromImage": head, "tag": digest or tag, "platform": platform or None}
    headers = registry_auth.header_for_image(name)
    progress.show(session.api.messages("POST", "/images/create", query=query, headers=headers), quiet=quiet)


def create(session: Session, values: Values, body: dict[str, Any]) -> str:
    """Creates the container, pulling its image when asked to or missing; returns its id."""
    policy = values["pull"]
    if policy not in ("always", "missing", "never"):
        raise errors.InvalidArgument(
            f'invalid pull option: \'{policy}\': must be one of "always", "missing" or "never"'
        )
    cidfile = values["cidfile"]
    if cidfile and os.path.exists(cidfile):
        raise errors.InvalidArgument(
            f'container ID file found, make sure the other container isn\'t running or delete "{cidfile}"'
        )
    query = {"name": values["name"] or None, "platform": values["platform"] or None}
    if policy == "always":
        pull(session, body["Image"], platform=values["platform"], quiet=values["quiet"])
    try:
        answer = session.api.call("POST", "/containers/create", query=query, body=body)
    except errors.NotFound as error:
        if policy == "never" or "No such image" not in error.message:
            raise
        session.say(f"Unable to find image '{error.message.removeprefix('No such image: ')}' locally")
        pull(session, body["Image"], platform=values["platform"], quiet=values["quiet"])
        answer = session.api.call("POST", "/containers/create", query=query, body=body)
    warnings: list[str] = answer.get("Warnings") or []
    for warning in warnings:
        session.say(f"WARNING: {warning}")
    identity: str = answer["Id"]
    if cidfile:
        with open(cidfile, "w", encoding="ascii") as file:
            file.write(identity)
    return identity


def run_attached(
    session: Session,
    identity: str,
    *,
    streams: dict[str, bool],
    has_tty: bool,
    is_removed: bool,
    proxies_signals: bool,
    detach_keys: str = "",
    start: Callable[[], None],
) -> int:
    """Attaches, starts and relays; returns the container's exit code, or 0 when the user detached."""
    query: dict[str, Any] = {"stream": True, **streams, "detachKeys": detach_keys or None}
    upgraded = session.api.upgrade(f"/containers/{identity}/attach", query=query)
    condition = "removed" if is_removed else "next-exit"
    waiting = session.api.wait_stream(f"/containers/{identity}/wait", query={"condition": condition})
    attached = session_io.Attached(
        resize_path=f"/containers/{identity}/resize",
        signal_path=f"/containers/{identity}/kill" if proxies_signals else None,
        has_stdin=streams.get("stdin", False),
        has_tty=has_tty,
        outputs=(1 if streams.get("stdout") else None, 2 if streams.get("stderr") else None),
        detach_keys=detach_keys,
    )
    if not session_io.converse(session, upgraded, attached, begin=start):
        return 0
    answer = waiting()
    if answer.get("Error"):
        raise ExitCode(str(answer["Error"].get("Message", "")), 125)
    code: int = answer["StatusCode"]
    return code
