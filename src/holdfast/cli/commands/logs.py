# SPDX-License-Identifier: Apache-2.0
"""`hold logs`: what a container has written, and with `--follow` what it writes."""

from __future__ import annotations

import os

from holdfast.cli.flags import Command, Flag, Values
from holdfast.wire import frames

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.cli.main import Session

_FLAGS = (
    Flag("details", "", "bool", "Show extra details provided to logs"),
    Flag("follow", "f", "bool", "Follow log output"),
    Flag(
        "since",
        "",
        "string",
        "Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)",
    ),
    Flag("tail", "n", "string", "Number of lines to show from the end of the logs", default="all"),
    Flag("timestamps", "t", "bool", "Show timestamps"),
    Flag(
        "until",
        "",
        "string",
        "Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)",
    ),
)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Container output goes to our stdout and stderr, byte for byte."""
    document = session.api.call("GET", f"/containers/{arguments[0]}/json")
    query = {
        "stdout": True,
        "stderr": True,
        "follow": values["follow"],
        "timestamps": values["timestamps"],
        "details": values["details"],
        "tail": values["tail"],
        "since": _moment(values["since"]),
        "until": _moment(values["until"]),
    }
    pieces = session.api.stream("GET", f"/containers/{document['Id']}/logs", query=query)
    if document["Config"]["Tty"]:
        for piece in pieces:
            _write(1, piece)
        return 0
    demultiplexer = frames.Demultiplexer()
    for piece in pieces:
        for stream, data in demultiplexer.feed(piece):
            _write(2 if stream == frames.STDERR else 1, data)
    return 0


def _moment(text: str) -> str | None:
    """A duration counts back from now; an RFC 3339 time or seconds since the epoch go as `seconds.nanos`."""
    if not text:
        return None
    import time

    from holdfast import errors
    from holdfast.cli import units

    try:
        return f"{time.time() - units.parse_duration(text) / 1e9:.9f}"
    except errors.InvalidArgument:
        pass
    if text.replace(".", "", 1).isdigit():
        return text
    try:
        return f"{units.parse_time(text):.9f}"
    except ValueError:
        raise errors.InvalidArgument(f'failed to parse value as time or duration: "{text}"') from None


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


COMMAND = Command(
    "logs", "logs [OPTIONS] CONTAINER", "Fetch the logs of a container", run, _FLAGS, minimum=1, maximum=1
)
