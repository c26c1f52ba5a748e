# SPDX-License-Identifier: Apache-2.0
"""`hold save`: images as a tar archive."""

from __future__ import annotations

import os
import sys

from holdfast import errors
from holdfast.cli import platform_flag
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("output", "o", "string", "Write to a file, instead of STDOUT"),
    Flag("platform", "", "string", "Save only the given platform variant"),
)


def write_output(path: str, pieces: Iterable[bytes]) -> None:
    """Writes to the file (complete or not at all), or to stdout when that is not a terminal."""
    if not path:
        if os.isatty(1):
            raise errors.InvalidArgument("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        for piece in pieces:
            sys.stdout.buffer.write(piece)
        return
    partial = f"{path}.partial-{os.getpid()}"
    try:
        with open(partial, "wb") as file:
            for piece in pieces:
                file.write(piece)
        os.replace(partial, path)
    finally:
        if os.path.exists(partial):
            os.unlink(partial)


def run(session: Session, values: Values, arguments: list[str]) -> int:
    """Streams the archive."""
    query = {"names": arguments, "platform": platform_flag.to_json(values["platform"]) or None}
    write_output(values["output"], session.api.stream("GET", "/images/get", query=query))
    return 0


COMMAND = Command(
    "save",
    "save [OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    run,
    _FLAGS,
    minimum=1,
)
