# SPDX-License-Identifier: Apache-2.0
"""The interfaces of a log driver. Only type checkers import this module: drivers run on the boot path.

A driver module has `check(options)`, which raises InvalidArgument with Docker's words, and either
`open_writer(target) -> Writer` (it keeps files; it runs in the shim) or `open_sink(target, lease) -> Sink` (it speaks
to a collector and may wait for it; it runs in a `courier` of its own). Sources: Docker's documentation of
`--log-driver` and `--log-opt`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypedDict


class Target(TypedDict):
    """Where one container's output goes; a part of the launch message.

    `path` and `cache_path` are files ("" for none); `attributes` are labels and variables that go with every entry;
    `facts` say who speaks: id, name, image_id, image_name, command, created, tag (see `logs.description`).
    """

    driver: str
    path: str
    cache_path: str
    options: Mapping[str, str]
    attributes: Mapping[str, str]
    facts: Mapping[str, str]


class Poll(Protocol):
    """What a writer needs of the shim's loop."""

    def add(self, fd: int, events: int, callback: Callable[[int], None]) -> None: ...
    def watch(self, fd: int, events: int) -> None: ...
    def remove(self, fd: int) -> None: ...
    def call_later(self, seconds: float, callback: Callable[[], None]) -> object: ...


class Writer(Protocol):
    """Takes what one container says. One thread; never waits, never raises for a full disk or a lost collector."""

    @property
    def is_full(self) -> bool:
        """Whether the container has to wait before it says more."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether something that was said is still to be handed on; after `close` too."""
        ...

    def watch(self, poll: Poll, on_room: Callable[[], None]) -> None:
        """Has `on_room` called when it is not full any more. Called once, before the first `write`.

        Example: `writer.watch(loop, streams.on_client_room)`.
        """
        ...

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


class Entry(Protocol):
    """One line, or a piece of one that is longer than 16 KiB. `text` has no newline."""

    stream: int
    text: bytes
    nanos: int
    partial_id: str
    partial_ordinal: int
    is_last: bool


class Sink(Protocol):
    """Speaks to one collector, in a process that may wait."""

    def connect(self) -> None:
        """Raises a HoldfastError when the collector cannot be reached: then the container does not start.

        Example: `sink.connect()` once, before the first `deliver`.
        """
        ...

    def deliver(self, entries: Sequence[Entry]) -> None:
        """Hands entries on; waits, tries again or drops them, as the driver's options say. Never raises OSError.

        Example: `sink.deliver([entry])`.
        """
        ...

    def close(self) -> None:
        """Says goodbye; idempotent.

        Example: `sink.close()` after the last entry.
        """
        ...
