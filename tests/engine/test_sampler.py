# SPDX-License-Identifier: Apache-2.0
"""Who asks at the same time is read in one walk; files stay open from one reading to the next and are given back."""

import asyncio
import os
from pathlib import Path
from typing import Any, cast

import pytest

from holdfast.engine.sampler import NOTHING, Sampler
from holdfast.runtime.cgroups import Hierarchy


class Machine:
    """Control groups that are directories with one file, `usage`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.threads: list[int] = []

    def open(self, path: str) -> "Machine.Group":
        return Machine.Group(self, self.root / path)

    class Group:
        def __init__(self, machine: "Machine", directory: Path) -> None:
            self.machine = machine
            self.directory = directory

        def stats(self, read: Any, *, is_brief: bool) -> dict[str, object]:
            assert is_brief
            found = read(f"{self.directory}/usage")
            if found is None:
                raise OSError(19, "gone")
            return {"usage": int(found), "absent": read(f"{self.directory}/absent")}


def make(root: Path, *names: str) -> Sampler:
    for name in names:
        (root / name).mkdir()
        (root / name / "usage").write_text("7\n")
    return Sampler(cast("Hierarchy", Machine(root)))


def open_files(root: Path) -> list[str]:
    links = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
    return [target for link in links if os.path.islink(link) and (target := os.readlink(link)).startswith(str(root))]


async def settle() -> None:
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "sampler"))


async def test_what_is_asked_together_has_one_time_of_the_machine(tmp_path: Path) -> None:
    sampler = make(tmp_path, "a", "b", "c")
    gauges = [sampler.begin(name, 1, has_networks=False) for name in "abc"]

    samples = await asyncio.gather(*(sampler.read(gauge) for gauge in gauges))

    assert {sample.system_cpu_nanos for sample in samples} == {samples[0].system_cpu_nanos}
    assert [sample.used["usage"] for sample in samples] == [7, 7, 7]


async def test_a_second_reading_sees_the_new_number_through_the_same_descriptor(tmp_path: Path) -> None:
    sampler = make(tmp_path, "a")
    gauge = sampler.begin("a", 1, has_networks=False)
    await sampler.read(gauge)
    kept = open_files(tmp_path)
    (tmp_path / "a" / "usage").write_text("8\n")

    now = await sampler.read(gauge)

    assert now.used["usage"] == 8
    assert open_files(tmp_path) == kept == [str(tmp_path / "a" / "usage")]


async def test_an_ended_gauge_gives_its_files_back(tmp_path: Path) -> None:
    sampler = make(tmp_path, "a")
    gauge = sampler.begin("a", 1, has_networks=False)
    await sampler.read(gauge)

    sampler.end(gauge)
    sampler.end(gauge)
    await settle()

    assert open_files(tmp_path) == []
    assert sampler.statistics() == {"keeping": 0}


async def test_beyond_a_hundred_gauges_no_file_stays_open(tmp_path: Path) -> None:
    sampler = make(tmp_path, "a")
    many = [sampler.begin("a", 1, has_networks=False) for _ in range(100)]
    last = sampler.begin("a", 1, has_networks=False)

    sample = await sampler.read(last)

    assert sample.used["usage"] == 7
    assert open_files(tmp_path) == []
    for gauge in (*many, last):
        sampler.end(gauge)
    assert sampler.statistics() == {"keeping": 0}
    await settle()


async def test_what_has_just_ended_gives_nothing_and_harms_nobody(tmp_path: Path) -> None:
    sampler = make(tmp_path, "a")
    gone, alive = (sampler.begin(name, 2**22, has_networks=False) for name in ("gone", "a"))
    networked = sampler.begin("a", 2**22 + 1, has_networks=True)

    samples = await asyncio.gather(*(sampler.read(gauge) for gauge in (gone, alive, networked)))

    assert samples[0] is NOTHING
    assert samples[1].used["usage"] == 7
    assert samples[2] is NOTHING


async def test_a_failure_reaches_those_who_wait(tmp_path: Path) -> None:
    sampler = make(tmp_path, "a")
    (tmp_path / "a" / "usage").write_text("not a number")
    gauge = sampler.begin("a", 1, has_networks=False)

    with pytest.raises(ValueError, match="invalid literal"):
        await sampler.read(gauge)

    (tmp_path / "a" / "usage").write_text("9")
    assert (await sampler.read(gauge)).used["usage"] == 9
