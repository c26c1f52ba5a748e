# SPDX-License-Identifier: Apache-2.0
"""`docker stats`: what a container uses, once or every second. Called by `api.routes.container_stats`.

Nothing is sampled while nobody asks; `engine.sampler` does the reading. Source: Engine API v1.51 ContainerStats.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator

from holdfast.containers import Container
from holdfast.engine import surroundings
from holdfast.engine.packages import Packages
from holdfast.engine.sampler import NOTHING, Gauge, Sample

_MEMORY_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
_PERIOD_SECONDS = 1.0
_PAIR_SECONDS = 0.5
"""Between the two samples of a single answer: enough for a share of the processors, and half of dockerd's wait."""


async def stats(*, packages: Packages, container: Container, one_shot: bool) -> tuple[Sample, Sample]:
    """One sample and the one before it; half a second passes between them unless it is one-shot or nothing runs."""
    due = time.monotonic() + _PAIR_SECONDS
    with _Source(packages, container) as source:
        if one_shot or not container.state.has_process:
            return await source.sample(), NOTHING
        before = await source.sample()
        await asyncio.sleep(due - time.monotonic())
        return await source.sample(), before


async def stream_stats(*, packages: Packages, container: Container) -> AsyncIterator[tuple[Sample, Sample]]:
    """A sample and the one before it every second, until the container is removed; empty ones while it is stopped."""
    before = NOTHING
    due = time.monotonic()
    with _Source(packages, container) as source:
        while not container.record.is_removing:
            now = await source.sample()
            yield now, before
            before = now
            due = max(due + _PERIOD_SECONDS, time.monotonic())
            await asyncio.sleep(due - time.monotonic())


class _Source:
    """One client's view of a container: a gauge of the process that it has, another after a restart."""

    def __init__(self, packages: Packages, container: Container) -> None:
        self._packages = packages
        self._container = container
        self._gauge: Gauge | None = None

    def __enter__(self) -> _Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    async def sample(self) -> Sample:
        state = self._container.state
        if self._gauge is not None and self._gauge.pid != state.pid:
            self._end()
        if not state.has_process:
            return NOTHING
        if self._gauge is None:
            record = self._container.record
            self._gauge = self._packages.sampler.begin(
                surroundings.cgroup_path(self._packages, record),
                state.pid,
                has_networks=record.host_config.network_mode != "host",
            )
        return await self._packages.sampler.read(self._gauge)

    def _end(self) -> None:
        gauge, self._gauge = self._gauge, None
        if gauge is not None:
            self._packages.sampler.end(gauge)


def memory_limit(limit: int) -> int:
    """The limit as Docker shows it: the machine's memory where there is none."""
    return limit if 0 < limit < _MEMORY_BYTES else _MEMORY_BYTES
