# SPDX-License-Identifier: Apache-2.0
"""Version 2 cgroups in the machine's v2 tree (on a hybrid machine one without controllers), in a sub-tree of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import Unsupported
from holdfast.kernel import bpf, process
from holdfast.runtime import defaults
from holdfast.runtime.cgroups import layout
from holdfast.runtime.cgroups.v2.cgroup import Cgroup
from holdfast.runtime.cgroups.v2.hierarchy import Hierarchy

RULES = [
    {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}
    for allow, kind, major, minor, access in defaults.DEVICE_RULES
]


@pytest.fixture
def hierarchy() -> Hierarchy:
    root = layout.parse_mountinfo(Path("/proc/self/mountinfo").read_text()).unified
    if root is None:
        pytest.skip("no cgroup2 file system is mounted")
    return Hierarchy(root)


@pytest.fixture
def parent(hierarchy: Hierarchy) -> Iterator[str]:
    path = f"/holdfast-test-{uuid.uuid4().hex[:8]}"
    yield path
    hierarchy.open(path).kill()
    hierarchy.open(path).remove()
    assert not hierarchy.open(path).exists()


def spawn_inside(cgroup: Cgroup, *command: str) -> subprocess.Popen[bytes]:
    fds = cgroup.join_fds()
    try:
        return subprocess.Popen(
            command, preexec_fn=lambda: os.write(fds[0], b"0"), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
    finally:
        os.close(fds[0])


def programs(cgroup: Cgroup) -> list[int]:
    fd = os.open(cgroup.directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return bpf.query_device_programs(fd)
    finally:
        os.close(fd)


def test_a_child_is_born_inside(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/born", {})
    fd = cgroup.into_fd()
    assert fd is not None
    reader, writer = os.pipe()

    pid, pidfd = process.clone3(cgroup_fd=fd)
    if pid == 0:
        with open("/proc/self/cgroup", "rb") as own:
            os.write(writer, own.read())
        os._exit(0)
    os.waitpid(pid, 0)
    lines = os.read(reader, 4096).decode().splitlines()
    for each in (fd, pidfd, reader, writer):
        os.close(each)

    assert f"0::{cgroup.path}" in lines


def test_device_rules_are_enforced_and_replaced_without_a_gap(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/devices", {"devices": RULES})
    first = programs(cgroup)

    denied = spawn_inside(cgroup, "sh", "-c", "cat /dev/null && head -c1 /dev/zero >/dev/null && head -c1 /dev/kmsg")
    _, err = denied.communicate()
    cgroup.update(
        {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 1, "access": "r"}]}
    )
    second = programs(cgroup)
    reading = spawn_inside(cgroup, "sh", "-c", "head -c1 /dev/zero && echo >/dev/null")
    _, complaint = reading.communicate()

    assert (len(first), len(second)) == (1, 1)
    assert first != second
    assert b"/dev/kmsg" in err
    assert b"Operation not permitted" in err
    assert b"/dev/null: Operation not permitted" in complaint


def test_kill_takes_everything_below_also_when_frozen(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/killed", {})
    below = hierarchy.create(f"{parent}/killed/below", {})
    children = [spawn_inside(each, "sleep", "600") for each in (cgroup, below, below)]
    cgroup.freeze()
    seen = (cgroup.is_frozen(), len(cgroup.pids()))

    cgroup.kill()

    assert seen == (True, 3)
    assert [child.wait(timeout=5) for child in children] == [-signal.SIGKILL] * 3
    cgroup.remove()
    assert not cgroup.exists()


def test_a_missing_controller_fails_and_leaves_nothing(hierarchy: Hierarchy, parent: str) -> None:
    missing = {"memory", "pids"} - hierarchy.controllers()
    if not missing:
        pytest.skip("this tree has all controllers")
    hierarchy.create(parent, {})

    with pytest.raises(Unsupported, match="the kernel lacks it"):
        hierarchy.create(f"{parent}/limited", {"pids": {"limit": 3}, "memory": {"limit": 1 << 26}})

    assert not hierarchy.open(f"{parent}/limited").exists()


def test_limits_are_written_where_the_controllers_are(hierarchy: Hierarchy, parent: str) -> None:
    if not {"memory", "pids", "cpu"} <= hierarchy.controllers():
        pytest.skip("this tree has no controllers: they are bound to version 1")

    cgroup = hierarchy.create(
        f"{parent}/limited",
        {"memory": {"limit": 1 << 26, "swap": 1 << 26}, "pids": {"limit": 30}, "cpu": {"shares": 1024, "quota": 5000}},
    )

    read = {name: Path(cgroup.directory, name).read_text().strip() for name in ("memory.max", "pids.max", "cpu.weight")}
    assert read == {"memory.max": str(1 << 26), "pids.max": "30", "cpu.weight": "100"}
    assert Path(cgroup.directory, "cpu.max").read_text().split() == ["5000", "100000"]


def test_statistics_have_the_shape_of_v1(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/counted", {})
    spawn_inside(cgroup, "true").wait()

    stats = cgroup.stats()

    assert set(stats) == {"cpu", "memory", "pids", "blkio"}
    assert cgroup.oom_kills() == 0
