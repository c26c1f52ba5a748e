# SPDX-License-Identifier: Apache-2.0
"""`hold load`: images from a tar archive."""

from __future__ import annotations

import os
import sys

from holdfast import errors
from holdfast.cli import platform_flag, progress
from holdfast.cli.flags import Command, Flag, Values

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from holdfast.cli.main import Session

_FLAGS = (
    Flag("input", "i", "string", "Read from tar archive file, instead of STDIN"),
    Flag("platform", "", "string", "Load only the given platform variant"),
    Flag("quiet", "q", "bool", "Suppress the load output"),
)
_CHUNK_BYTES = 1 << 18


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """The file in pieces."""
    while piece := file.read(_CHUNK_BYTES):
        yield piece


def open_input(path: str) -> BinaryIO:
    """The named archive, or standard input when that is not a terminal."""
    if path:
        try:
            return open(path, "rb")
        except OSError as error:
            raise errors.InvalidArgument(f"open {path}: {(error.strerror or '').lower()}") from error
    if os.isatty(0):
        raise errors.InvalidArgument("requested load from stdin, but stdin is empty: name an archive with --input")
    return sys.stdin.buffer


def run(session: Session, values: Values, _arguments: list[str]) -> int:
    """Prints `Loaded image: NAME` lines."""
    with open_input(values["input"]) as file:
        query = {"quiet": values["quiet"], "platform": platform_flag.to_json(values["platform"]) or None}
        headers = {"Content-Type": "application/x-tar"}
        progress.show(session.api.messages("POST", "/images/load", query=query, headers=headers, body=pieces_of(file)))
    return 0


COMMAND = Command("load", "load [OPTIONS]", "Load an image from a tar archive or STDIN", run, _FLAGS, maximum=0)
