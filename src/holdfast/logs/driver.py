# SPDX-License-Identifier: Apache-2.0
"""The interface of a log driver. Only type checkers import this module: drivers run on the boot path.

A driver module also has `check(options)`, which raises InvalidArgument with Docker's words, and `open_writer(path,
options, attributes)`. Sources: Docker's documentation of `--log-driver` and `--log-opt`.
"""

from __future__ import annotations

from typing import Protocol


class Writer(Protocol):
    """Takes what one container says. One thread; never raises for a full disk: it drops whole entries instead."""

    def write(self, stream: int, data: bytes, now: int) -> None:
        """Takes a piece of stream 1 or 2 as it came out of the pipe, at `now` (nanoseconds since the epoch).

        Cuts at newlines and at 16 KiB as Docker does; an unfinished line is kept until it is finished.

        Example: `writer.write(1, b"one\\ntwo\\nthr", time.time_ns())` keeps `thr` back.
        """
        ...

    def close(self, now: int) -> None:
        """Writes unfinished lines (without a newline) and lets go of the file; idempotent.

        Example: `writer.close(time.time_ns())` when the container's output has ended.
        """
        ...
