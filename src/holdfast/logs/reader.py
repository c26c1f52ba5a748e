# SPDX-License-Identifier: Apache-2.0
"""Reads a container's log back, and follows it while the container runs (the daemon's side; asynchronous).

Called by `api.routes.containers` through the engine. `stream` is the quick way (whole blocks, framed here); `read`
gives entry by entry. Reading is page-cache reading in 256 KiB blocks, about 3 ms each, with a turn for others between.
Sources: Engine API v1.47 ContainerLogs; rotation as `archive` does it.
"""

from __future__ import annotations

import asyncio
import os
import time
import zlib
from collections.abc import AsyncIterator, Callable
from struct import Struct

from holdfast.kernel import inotify
from holdfast.logs import files
from holdfast.logs.formats import JSON_LINES, Format
from holdfast.logs.selection import Said, Selection

_BLOCK = 256 * 1024
_LOOK_SECONDS = 0.25
_CLOSED_LOOK_SECONDS = 0.01
_CHANGES = inotify.MODIFY | inotify.CLOSE_WRITE | inotify.MOVED_TO | inotify.CREATE
_pack_frame = Struct(">BxxxI").pack


async def read(
    path: str,
    *,
    form: Format = JSON_LINES,
    follow: bool = False,
    since: int = 0,
    until: int = 0,
    tail: int | None = None,
    timestamps: bool = False,
    details: bool = False,
    stdout: bool = True,
    stderr: bool = True,
    is_running: Callable[[], bool] = lambda: False,
) -> AsyncIterator[Said]:
    """Yields (stream, text) per entry. Times are nanoseconds since the epoch; `tail` None means everything.

    With `follow` it ends when `is_running` says no and everything is read, or at `until`. A log that does not exist
    (yet) has no entries.
    """
    selection = Selection(
        stdout=stdout, stderr=stderr, since=since, until=until, timestamps=timestamps, details=details
    )
    async for batch in _batches(path, form, selection, tail, is_running if follow else None):
        for said in batch:
            yield said


async def stream(
    path: str,
    selection: Selection,
    *,
    framed: bool,
    form: Format = JSON_LINES,
    tail: int | None = None,
    follow: bool = False,
    is_running: Callable[[], bool] = lambda: False,
) -> AsyncIterator[bytes]:
    """Yields the same as `read` in large pieces ready to send: with `framed` each entry has Docker's 8-byte header."""
    async for batch in _batches(path, form, selection, tail, is_running if follow else None):
        if framed:
            yield b"".join([_pack_frame(number, len(text)) + text for number, text in batch])
        else:
            yield b"".join([text for _, text in batch])


async def _batches(
    path: str, form: Format, selection: Selection, tail: int | None, is_running: Callable[[], bool] | None
) -> AsyncIterator[list[Said]]:
    decoder = form.open_decoder(selection)
    change = None if is_running is None else _Changes(path)
    sources = files.open_all(path)
    try:
        if tail is not None:
            sources, skipped = files.seek_tail(sources, tail, form.seek_back)
            decoder.skip(skipped)
        while True:
            while sources:
                data = _read(sources[0])
                if not data:
                    later = sources[1:] or files.open_after(path, sources[0])
                    if not later:
                        break
                    sources[0].file.close()
                    sources = later
                    decoder.begin_file()
                    continue
                batch = decoder.feed(data)
                if batch:
                    yield batch
                if decoder.is_past:
                    return
                await asyncio.sleep(0)
            if change is None or is_running is None or change.is_last_look:
                return
            await change.wait(is_running, selection.until)
            sources = sources or files.open_all(path)
    finally:
        files.close_all(sources)
        if change is not None:
            change.close()


def _read(source: files.Source) -> bytes:
    try:
        return source.file.read(_BLOCK)
    except (OSError, EOFError, zlib.error):  # a compressed file that is cut off or damaged ends here
        return b""


class _Changes:
    """Waits for a log's next change, or for the end of its container."""

    def __init__(self, path: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._watch = inotify.Watch(os.path.dirname(path), _CHANGES)
        self._name = os.path.basename(path)
        self._changed = asyncio.Event()
        self._patience = _LOOK_SECONDS
        self.is_last_look = False
        self._loop.add_reader(self._watch.fd, self._look)

    async def wait(self, is_running: Callable[[], bool], until: int) -> None:
        """Returns after a change; `is_last_look` is set when there will be no other."""
        while not self._changed.is_set():
            if not is_running() or (until and time.time_ns() > until):
                self.is_last_look = True
                return
            try:
                await asyncio.wait_for(self._changed.wait(), self._patience)
            except TimeoutError:
                self._patience = min(self._patience * 2, _LOOK_SECONDS)
        self._changed.clear()

    def close(self) -> None:
        """Stops watching."""
        self._loop.remove_reader(self._watch.fd)
        self._watch.close()

    def _look(self) -> None:
        for name, mask in self._watch.read_nowait():
            if name == self._name or not name:
                self._changed.set()
                if mask & inotify.CLOSE_WRITE:  # the writer's end, or a rotation: news of the container is near
                    self._patience = _CLOSED_LOOK_SECONDS
