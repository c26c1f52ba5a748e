# SPDX-License-Identifier: Apache-2.0
"""Lines of message streams, byte for byte; the expected ones were sent by dockerd 28.5."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from holdfast.api.http import Stream
from holdfast.api.schema import messages
from holdfast.distribution import progress
from holdfast.errors import NotFound


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (
            progress.counted("Downloading", "5c686b5eae68", 36445, 3222523),
            b'{"status":"Downloading","progressDetail":{"current":36445,"total":3222523},'
            b'"progress":"[\\u003e                                                  ]  36.45kB/3.223MB",'
            b'"id":"5c686b5eae68"}\r\n',
        ),
        (
            progress.layer("Verifying Checksum", "5c686b5eae68"),
            b'{"status":"Verifying Checksum","progressDetail":{},"id":"5c686b5eae68"}\r\n',
        ),
        (
            progress.status("Pulling from library/nginx", "latest"),
            b'{"status":"Pulling from library/nginx","id":"latest"}\r\n',
        ),
        (
            progress.failure("a<b>&c"),
            b'{"errorDetail":{"message":"a\\u003cb\\u003e\\u0026c"},"error":"a\\u003cb\\u003e\\u0026c"}\r\n',
        ),
    ],
)
def test_lines_are_dockers(message: dict[str, Any], line: bytes) -> None:
    assert messages.encode(message) == line


def test_a_count_without_a_bar_gets_one() -> None:
    bare = {"status": "Loading layer", "progressDetail": {"current": 5, "total": 10}, "id": "abc"}

    assert messages.encode(bare).index(b'"progress":"[====') < messages.encode(bare).index(b'"id":"abc"')


Tell = Callable[[dict[str, Any]], None]


async def test_an_error_before_the_first_message_is_the_requests() -> None:
    async def job(tell: Tell) -> None:
        raise NotFound("no such thing")

    with pytest.raises(NotFound):
        await messages.stream(job)


async def test_an_error_before_the_first_message_is_a_line_where_docker_has_it_so() -> None:
    async def job(tell: Tell) -> None:
        raise NotFound("no such thing")

    answer = await messages.stream(job, may_fail_with_status=False)

    assert isinstance(answer, Stream)
    assert answer.first == b'{"errorDetail":{"message":"no such thing"},"error":"no such thing"}\r\n'
    assert answer.chunks is not None
    assert [line async for line in answer.chunks] == []


async def test_a_later_error_is_the_last_line() -> None:
    async def job(tell: Tell) -> None:
        tell({"status": "begun"})
        await asyncio.sleep(0.01)
        raise NotFound("gone")

    answer = await messages.stream(job)

    assert isinstance(answer, Stream)
    assert answer.first == b'{"status":"begun"}\r\n'
    assert answer.chunks is not None
    assert [line async for line in answer.chunks] == [b'{"errorDetail":{"message":"gone"},"error":"gone"}\r\n']


async def test_a_job_that_is_over_at_once_is_answered_whole() -> None:
    async def job(tell: Tell) -> None:
        tell({"status": "begun"})
        tell({"status": "done"})

    assert await messages.stream(job) == Stream(None, first=b'{"status":"begun"}\r\n{"status":"done"}\r\n')


async def test_a_client_that_leaves_cancels_the_job() -> None:
    ended = asyncio.Event()

    async def job(tell: Tell) -> None:
        tell({"status": "begun"})
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    answer = await messages.stream(job)
    assert isinstance(answer, Stream)
    await answer.chunks.aclose()  # type: ignore[attr-defined]

    await asyncio.wait_for(ended.wait(), 1)
