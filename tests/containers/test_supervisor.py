# SPDX-License-Identifier: Apache-2.0
"""What shims say reaches the one reader of all events, also when somebody asks before the loop has come to it."""

import asyncio
from typing import Any

from holdfast.containers.supervisor import Supervisor


class Shim:
    """Says what is put into `unread` when it is asked for news, as if it had just come."""

    container_id = "c" * 64

    def __init__(self) -> None:
        self.unread: list[str] = []
        self._news: asyncio.Queue[str] = asyncio.Queue()

    def has_news(self) -> bool:
        while self.unread:
            self._news.put_nowait(self.unread.pop(0))
        return not self._news.empty()

    async def events(self) -> Any:
        while True:
            yield await self._news.get()

    async def close(self) -> None:
        return


class Spawner:
    def __init__(self, shim: Shim) -> None:
        self.shim = shim

    async def launch(self, launch: Any, *, meanwhile: Any = None) -> Shim:
        return self.shim


async def test_what_a_shim_has_said_is_handled_when_it_has_been_heard_out() -> None:
    handled: list[object] = []
    shim: Any = Shim()
    spawner: Any = Spawner(shim)
    supervisor = Supervisor(spawner)
    launch: Any = None
    await supervisor.launch(launch)

    async def handle() -> None:
        events = supervisor.exits()
        while True:
            handled.append(await anext(events))

    reader = asyncio.create_task(handle())
    await asyncio.sleep(0)
    shim.unread = ["first", "second"]

    await supervisor.hear_out(shim)

    assert handled == ["first", "second"]
    reader.cancel()
    await supervisor.close()


async def test_without_news_nobody_waits() -> None:
    spawner: Any = Spawner(Shim())
    supervisor = Supervisor(spawner)

    for shim in (None, Shim()):
        heard: Any = shim
        asked: Any = supervisor.hear_out(heard)
        try:
            asked.send(None)
        except StopIteration:
            continue
        raise AssertionError("the loop had a turn")
