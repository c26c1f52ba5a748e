# SPDX-License-Identifier: Apache-2.0
"""`docker stats`: what a container uses, once or every second. Called by `api.routes.container_stats`.

One sample is a dozen small files of /sys/fs/cgroup and /proc, read in a thread; nothing is sampled while nobody asks.
Source: Engine API v1.51 ContainerStats, cgroups(7), proc_pid_net(5).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.containers import Container
from holdfast.engine import surroundings
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError
from holdfast.runtime import cgroups

_TICK_NANOS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_MEMORY_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
_PERIOD_SECONDS = 1.0
_CPU_TIMES = slice(1, 8)  # user nice system idle iowait irq softirq
_RECEIVED = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped")
_SENT = ("tx_bytes", "tx_packets", "tx_errors", "tx_dropped")
_SENT_COLUMN = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What was used up to one moment; `used` as `runc events` has it, empty when the container does not run."""

    moment_nanos: int = 0
    used: Mapping[str, Any] = field(default_factory=dict[str, Any])
    networks: Mapping[str, Mapping[str, int]] | None = None
    system_cpu_nanos: int = 0
    cpus: int = 0

    @property
    def is_empty(self) -> bool:
        return not self.used


NOTHING = Sample()


async def stats(*, packages: Packages, container: Container, one_shot: bool) -> tuple[Sample, Sample]:
    """One sample and the one before it; a second passes between them unless it is one-shot or nothing runs."""
    before = NOTHING
    if not one_shot and container.state.has_process:
        before = await _sample(packages, container)
        await asyncio.sleep(_PERIOD_SECONDS)
    return await _sample(packages, container), before


async def stream_stats(*, packages: Packages, container: Container) -> AsyncIterator[tuple[Sample, Sample]]:
    """A sample and the one before it every second, until the container is removed; empty ones while it is stopped."""
    before = NOTHING
    due = time.monotonic()
    while not container.record.is_removing:
        now = await _sample(packages, container)
        yield now, before
        before = now
        due = max(due + _PERIOD_SECONDS, time.monotonic())
        await asyncio.sleep(due - time.monotonic())


async def _sample(packages: Packages, container: Container) -> Sample:
    if not container.state.has_process:
        return NOTHING
    return await asyncio.to_thread(_read, packages, container)


def _read(packages: Packages, container: Container) -> Sample:
    path = surroundings.cgroup_path(packages, container.record)
    try:
        used = cgroups.detect().open(path).stats()
        has_networks = container.record.host_config.network_mode != "host"
        networks = read_networks(container.state.pid) if has_networks else {}
    except (OSError, HoldfastError):  # it has just ended
        return NOTHING
    nanos, cpus = read_system_cpu()
    return Sample(
        moment_nanos=time.time_ns(),
        used=used,
        networks=networks or None,
        system_cpu_nanos=nanos,
        cpus=cpus,
    )


def memory_limit(limit: int) -> int:
    """The limit as Docker shows it: the machine's memory where there is none."""
    return limit if 0 < limit < _MEMORY_BYTES else _MEMORY_BYTES


def read_system_cpu() -> tuple[int, int]:
    """The time that all processors have spent, idle or not, and how many of them are online."""
    with open("/proc/stat", encoding="ascii") as file:
        lines = file.read().splitlines()
    nanos = sum(int(word) for word in lines[0].split()[_CPU_TIMES]) * _TICK_NANOS
    return nanos, sum(1 for line in lines if line.startswith("cpu") and line[3:4].isdigit())


def read_networks(pid: int) -> dict[str, dict[str, int]]:
    """The counters of every interface that the process sees, but for `lo`."""
    with open(f"/proc/{pid}/net/dev", encoding="ascii", errors="replace") as file:
        return parse_networks(file.read())


def parse_networks(text: str) -> dict[str, dict[str, int]]:
    """The table of /proc/PID/net/dev."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        words = [int(word) for word in rest.split()]
        if name.strip() != "lo" and len(words) >= _SENT_COLUMN + len(_SENT):
            found[name.strip()] = {
                **dict(zip(_RECEIVED, words, strict=False)),
                **dict(zip(_SENT, words[_SENT_COLUMN:], strict=False)),
            }
    return found
