# SPDX-License-Identifier: Apache-2.0
"""The lock that a new daemon waits for."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from holdfast.shim.births import Births


async def test_nobody_waits_without_another_daemon(tmp_path: Path) -> None:
    births = Births(str(tmp_path))

    assert await births.settle(0.0)
    births.close()


async def test_a_shim_on_its_way_is_waited_for_though_its_daemon_is_gone(tmp_path: Path) -> None:
    dead = Births(str(tmp_path))
    assert await dead.settle(0.0)
    share = os.dup(dead.fileno())
    dead.close()
    next_one = Births(str(tmp_path))

    assert not await next_one.settle(0.02)
    waiting = asyncio.create_task(next_one.settle(5.0))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    os.close(share)

    assert await waiting
    next_one.close()
