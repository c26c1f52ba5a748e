# SPDX-License-Identifier: Apache-2.0
"""Reads what containers use: whoever asks at the same time is served by one walk of one thread.

Fifty clients of `docker stats` wake together every second. A thread's turn for each would cost more than the reading:
0.1 ms against 0.06. So one batch is under way at a time, and what is asked meanwhile is the next one. A gauge keeps its
control files open from one reading to the next; `networks` of /proc it opens each time, for an open one would keep a
network namespace alive. Used by `jobs.stats`. Source: cgroups(7), proc_pid_net(5), proc_stat(5).
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from holdfast.errors import HoldfastError
from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import Hierarchy

_TICK_NANOS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
_CPU_TIMES = slice(1, 8)  # user nice system idle iowait irq softirq
_RECEIVED = ("rx_bytes", "rx_packets", "rx_errors", "rx_dropped")
_SENT = ("tx_bytes", "tx_packets", "tx_errors", "tx_dropped")
_SENT_COLUMN = 8
_KEEPING_GAUGES = 100
"""So many gauges keep their files open, 13 each; more of them open and close theirs at every reading."""


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


class Gauge:
    """One container's files, for as long as its present process lives. Made and ended by `Sampler`."""

    def __init__(self, cgroup_path: str, pid: int, *, has_networks: bool, files: cgroupfs.KeptFiles | None) -> None:
        self.cgroup_path = cgroup_path
        self.pid = pid
        self.has_networks = has_networks
        self.files = files
        self.is_ended = False


class Sampler:
    """The one reader of all gauges."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self._hierarchy = hierarchy
        self._asked: list[tuple[Gauge, asyncio.Future[Sample]]] = []
        self._ended: list[Gauge] = []
        self._walk: asyncio.Task[None] | None = None
        self._keeping = 0

    def begin(self, cgroup_path: str, pid: int, *, has_networks: bool) -> Gauge:
        """A gauge for a running container; `end` it. No system call."""
        keeps = self._keeping < _KEEPING_GAUGES
        self._keeping += keeps
        return Gauge(cgroup_path, pid, has_networks=has_networks, files=cgroupfs.KeptFiles() if keeps else None)

    async def read(self, gauge: Gauge) -> Sample:
        """What the container has used up to now; NOTHING when it has just ended."""
        answer: asyncio.Future[Sample] = asyncio.get_running_loop().create_future()
        self._asked.append((gauge, answer))
        self._go()
        return await answer

    def end(self, gauge: Gauge) -> None:
        """Has its files closed, once no thread reads them; idempotent."""
        if gauge.is_ended:
            return
        gauge.is_ended = True
        if gauge.files is not None:
            self._keeping -= 1
            self._ended.append(gauge)
            self._go()

    def statistics(self) -> dict[str, int]:
        """How many gauges keep files open."""
        return {"keeping": self._keeping}

    def _go(self) -> None:
        if self._walk is None:
            self._walk = asyncio.get_running_loop().create_task(self._walk_on(), name="sampler")

    async def _walk_on(self) -> None:
        try:
            while self._asked or self._ended:
                asked, self._asked = [each for each in self._asked if not each[1].done()], []
                ended, self._ended = self._ended, []
                await self._answer(asked, ended)
        finally:
            self._walk = None

    async def _answer(self, asked: list[tuple[Gauge, asyncio.Future[Sample]]], ended: list[Gauge]) -> None:
        try:
            samples = await asyncio.to_thread(self._read_all, [gauge for gauge, _ in asked], ended)
        except Exception as error:  # noqa: BLE001  (it belongs to those who wait)
            for _, answer in asked:
                if not answer.done():
                    answer.set_exception(error)
            return
        for (_, answer), sample in zip(asked, samples, strict=True):
            if not answer.done():
                answer.set_result(sample)

    def _read_all(self, gauges: list[Gauge], ended: list[Gauge]) -> list[Sample]:
        for gauge in ended:
            if gauge.files is not None:
                gauge.files.close()
        if not gauges:
            return []
        nanos, cpus = read_system_cpu()
        return [self._read(gauge, nanos, cpus) for gauge in gauges]

    def _read(self, gauge: Gauge, system_cpu_nanos: int, cpus: int) -> Sample:
        read = cgroupfs.read_optional if gauge.files is None else gauge.files.read
        try:
            used = self._hierarchy.open(gauge.cgroup_path).stats(read, is_brief=True)
            networks = read_networks(gauge.pid) if gauge.has_networks else {}
        except (OSError, HoldfastError):  # it has just ended
            return NOTHING
        return Sample(
            moment_nanos=time.time_ns(),
            used=used,
            networks=networks or None,
            system_cpu_nanos=system_cpu_nanos,
            cpus=cpus,
        )


def read_system_cpu() -> tuple[int, int]:
    """The time that all processors have spent, idle or not, and how many of them are online."""
    lines = cgroupfs.read("/proc/stat").split("\n")
    nanos = sum(int(word) for word in lines[0].split()[_CPU_TIMES]) * _TICK_NANOS
    return nanos, sum(1 for line in lines if line.startswith("cpu")) - 1


def read_networks(pid: int) -> dict[str, dict[str, int]]:
    """The counters of every interface that the process sees, but for `lo`."""
    return parse_networks(cgroupfs.read(f"/proc/{pid}/net/dev"))


def parse_networks(text: str) -> dict[str, dict[str, int]]:
    """The table of /proc/PID/net/dev."""
    found: dict[str, dict[str, int]] = {}
    for line in text.splitlines()[2:]:
        name, _, rest = line.partition(":")
        name = name.strip()
        words = rest.split()
        if name != "lo" and len(words) >= _SENT_COLUMN + len(_SENT):
            sent = words[_SENT_COLUMN:]
            found[name] = {
                **dict(zip(_RECEIVED, map(int, words), strict=False)),
                **dict(zip(_SENT, map(int, sent), strict=False)),
            }
    return found
