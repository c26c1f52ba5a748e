# SPDX-License-Identifier: Apache-2.0
"""File systems made ahead: taken only when they are what the container's spec asks for, and never twice."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from holdfast.runtime import cgroups, plan, prepare
from holdfast.runtime.container import _expand_cgroup
from holdfast.shim import protocol, rehearsal

Prepare = Callable[..., dict[str, int]]


def planned(change: Callable[[dict[str, Any]], object] = lambda spec: None) -> tuple[plan.Plan, Any]:
    spec = protocol.decode(rehearsal.sample())
    change(spec)
    made = plan.plan_create("", spec, (), "/")
    hierarchy = cgroups.detect()
    return made, _expand_cgroup(made, hierarchy, hierarchy.open("/"))


@pytest.fixture
def stock() -> Iterator[prepare.Stock]:
    made = prepare.Stock(*planned())
    yield made
    made.close()


@pytest.fixture
def held() -> Iterator[list[int]]:
    fds: list[int] = []
    yield fds
    for fd in fds:
        os.close(fd)


def by_target(made: plan.Plan, prepared: prepare.Prepared) -> dict[str, int]:
    return dict(zip((each.target for each in made.mounts), prepared.mounts, strict=True))


def names(fd: int) -> set[str]:
    return set(os.listdir(f"/proc/self/fd/{fd}"))


def test_the_usual_container_takes_everything_and_the_next_nothing(stock: prepare.Stock, held: list[int]):
    ready = set(stock._fds)
    usual, links = planned()

    first = by_target(usual, prepare.prepare(usual, links, held, stock))
    second = by_target(usual, prepare.prepare(usual, links, held, stock))

    for target in ("/dev", "/dev/pts", "/dev/shm"):
        assert first[target] in ready
        assert second[target] not in ready
    assert names(first["/dev"]) == names(second["/dev"]) >= {"null", "zero", "fd", "ptmx", "pts", "shm", "mqueue"}
    assert os.stat(f"/proc/self/fd/{first['/dev']}/null").st_rdev == os.makedev(1, 3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            lambda spec: spec["linux"].update(devices=[{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]),
            "kmsg",
        ),
        (
            lambda spec: spec["mounts"].append(
                {"destination": "/dev/more", "type": "tmpfs", "source": "tmpfs", "options": ["mode=700"]}
            ),
            "more",
        ),
    ],
)
def test_another_dev_is_made_anew(stock: prepare.Stock, held: list[int], change: Any, expected: str):
    ready = set(stock._fds)
    other, links = planned(change)

    made = by_target(other, prepare.prepare(other, links, held, stock))

    assert made["/dev"] not in ready
    assert made["/dev/shm"] in ready
    assert expected in names(made["/dev"])


def test_another_size_is_made_anew(stock: prepare.Stock, held: list[int]):
    ready = set(stock._fds)

    def grow(spec: dict[str, Any]) -> None:
        for each in spec["mounts"]:
            if each["destination"] == "/dev/shm":
                each["options"] = ["mode=1777", "size=4096"]

    other, links = planned(grow)
    made = by_target(other, prepare.prepare(other, links, held, stock))

    assert made["/dev/shm"] not in ready
    assert os.fstatvfs(made["/dev/shm"]).f_blocks == 1
