# SPDX-License-Identifier: Apache-2.0
"""Lines of a JSON message stream (pull, push, load, import, build), byte for byte as dockerd writes them.

Go's encoder escapes `<`, `>` and `&`, and each line ends with CR LF; a counted message gets the drawn bar if the job
left it out. Called by the routes that stream. Source: dockerd 28.5; moby `pkg/streamformatter`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from holdfast.api.http import Response, Stream
from holdfast.distribution import progress as bars
from holdfast.engine.progress import ProgressChannel
from holdfast.errors import HoldfastError

_Batch: TypeAlias = list[Mapping[str, Any]]
_ESCAPES = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def encode(message: Mapping[str, Any]) -> bytes:
    """One message as a line."""
    detail = message.get("progressDetail")
    if detail and "progress" not in message:
        drawn = bars.bar(detail.get("current", 0), detail.get("total", 0))
        identifier = {"id": message["id"]} if "id" in message else {}
        message = {**{k: v for k, v in message.items() if k != "id"}, "progress": drawn, **identifier}
    data = msgspec.json.encode(message)
    for plain, escaped in _ESCAPES:
        if plain in data:
            data = data.replace(plain, escaped)
    return data + b"\r\n"


async def stream(
    start: Callable[[ProgressChannel], Awaitable[object]], *, may_fail_with_status: bool = True
) -> Response:
    """Runs a job and answers with its messages; a job that fails before the first one fails the whole request.

    Such an error still has its HTTP status; a later one, or with `may_fail_with_status` false any, is the last line of
    a stream whose head said 200.
    """
    channel = ProgressChannel()
    failures: list[HoldfastError] = []

    async def run() -> None:
        try:
            await start(channel)
        except HoldfastError as error:
            failures.append(error)
            raise

    batches = channel.follow(run())
    nothing: _Batch = []
    first = await anext(batches, nothing)
    if may_fail_with_status and first and failures and "errorDetail" in first[0]:
        raise failures[0]
    return Stream(None if channel.is_over else _Lines(batches), first=_lines(first))


class _Lines:
    """What came together is sent together; the job ends with it."""

    def __init__(self, batches: AsyncGenerator[_Batch]) -> None:
        self._batches = batches

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        return _lines(await anext(self._batches))

    async def aclose(self) -> None:
        await self._batches.aclose()


def _lines(batch: _Batch) -> bytes:
    return b"".join(map(encode, batch))
