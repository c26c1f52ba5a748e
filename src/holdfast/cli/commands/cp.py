# SPDX-License-Identifier: Apache-2.0
"""`hold cp`: files between a container and this machine, either way; `-` is a tar on stdin or stdout."""

from __future__ import annotations

import base64
import json
import os
import sys

from holdfast import errors
from holdfast.cli import copy_plan, units
from holdfast.cli.commands.load import pieces_of
from holdfast.cli.copy_plan import Source, Target
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("archive", "a", "bool", "Archive mode (copy all uid/gid information)"),
    Flag("follow-link", "L", "bool", "Always follow symbol link in SRC_PATH"),
    Flag(
        "quiet",
        "q",
        "bool",
        "Suppress progress output during copy. Progress output is automatically suppressed if no terminal is attached",
    ),
)
_STAT_HEADER = "x-docker-container-path-stat"
_GO_DIRECTORY, _GO_LINK = 1 << 31, 1 << 27


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Copies one way."""
    from_container, from_path = copy_plan.split(arguments[0])
    to_container, to_path = copy_plan.split(arguments[1])
    if not from_path:
        raise errors.InvalidArgument("source can not be empty")
    if not to_path:
        raise errors.InvalidArgument("destination can not be empty")
    if from_container and to_container:
        raise errors.InvalidArgument("copying between containers is not supported")
    if from_container:
        copied = _out(session, values, from_container, from_path, to_path)
        shown = to_path
    elif to_container:
        copied = _in(session, values, from_path, to_container, to_path)
        shown = f"{to_container}:{to_path}"
    else:
        raise errors.InvalidArgument("must specify at least one container source")
    if to_path != "-" and not values["quiet"] and os.isatty(2):
        session.say(f"Successfully copied {units.human_size(copied, 3)} to {shown}")
    return 0


def _out(session: Session, values: Values, container: str, path: str, to_path: str) -> int:
    if values["follow-link"]:
        path = _followed(session, container, path)
    target_path = f"/containers/{container}/archive"
    headers, pieces = session.api.download(target_path, query={"path": path})
    if to_path == "-":
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        return 0
    from holdfast.cli import copy_archive

    found = _decoded(headers)
    source = Source(path, is_directory=bool(found["mode"] & _GO_DIRECTORY))
    target = Target(
        _kept(os.path.realpath(to_path), to_path), exists=os.path.exists(to_path), is_directory=os.path.isdir(to_path)
    )
    directory, name = copy_plan.plan(source, target)
    if not os.path.isdir(directory):
        raise errors.InvalidArgument(f'invalid output path: directory "{directory}" does not exist')
    return copy_archive.unpack(pieces, directory, copy_plan.base(path), name)


def _in(session: Session, values: Values, path: str, container: str, to_path: str) -> int:
    target = _target(session, container, to_path)
    address = f"/containers/{container}/archive"
    query: dict[str, Any] = {
        "path": "",
        "noOverwriteDirNonDir": "true",
        "copyUIDGID": "true" if values["archive"] else None,
    }
    headers = {"Content-Type": "application/x-tar"}
    if path == "-":
        if not target.is_directory:
            raise errors.InvalidArgument(f'destination "{container}:{to_path}" must be a directory')
        session.api.send(
            "PUT", address, query={**query, "path": target.path}, headers=headers, body=pieces_of(sys.stdin.buffer)
        )
        return 0
    from holdfast.cli import copy_archive

    if values["follow-link"]:
        path = _kept(os.path.realpath(path), path)
    absolute = os.path.realpath(path) if path.endswith(("/", "/.")) else os.path.abspath(path)
    try:
        is_directory = os.path.isdir(path) and (not os.path.islink(path.rstrip("/")) or path.endswith(("/", "/.")))
        os.lstat(path)
    except OSError as error:
        raise errors.InvalidArgument(f"lstat {absolute}: {(error.strerror or '').lower()}") from error
    source = Source(path, is_directory=is_directory)
    directory, name = copy_plan.plan(source, target)
    title = name or ("." if source.is_content else copy_plan.base(os.path.abspath(path)))
    copied = 0

    def counted() -> Any:
        nonlocal copied
        for piece in copy_archive.pack(absolute, title):
            copied += len(piece)
            yield piece

    session.api.send("PUT", address, query={**query, "path": directory}, headers=headers, body=counted())
    return copied


def _kept(resolved: str, given: str) -> str:
    """The mark at the end of a path (`/`, `/.`) says what is meant, so it is kept."""
    if given.endswith("/."):
        return f"{resolved}/."
    return f"{resolved}/" if given.endswith("/") and resolved != "/" else resolved


def _decoded(headers: Any) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.b64decode(headers.get(_STAT_HEADER, "")))
    return found


def _stat(session: Session, container: str, path: str) -> dict[str, Any] | None:
    try:
        return _decoded(session.api.head(f"/containers/{container}/archive", query={"path": path}))
    except errors.NotFound:
        session.api.call("GET", f"/containers/{container}/json")  # tells a missing container from a missing path
        return None


def _target(session: Session, container: str, path: str) -> Target:
    absolute = path if path.startswith("/") else f"/{path}"
    found = _stat(session, container, absolute)
    if found is not None and found["mode"] & _GO_LINK:
        absolute = _kept(found["linkTarget"], absolute)
        found = _stat(session, container, absolute)
    is_directory = found is not None and bool(found["mode"] & _GO_DIRECTORY)
    return Target(absolute, exists=found is not None, is_directory=is_directory)


def _followed(session: Session, container: str, path: str) -> str:
    found = _stat(session, container, path)
    return _kept(found["linkTarget"], path) if found is not None and found["mode"] & _GO_LINK else path


COMMAND = Command(
    "cp",
    "cp [OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n        hold cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    run,
    _FLAGS,
    minimum=2,
    maximum=2,
)
