# SPDX-License-Identifier: Apache-2.0
"""Version 1 cgroups on this machine, in a sub-tree of the test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import InvalidArgument, Unsupported
from holdfast.runtime import cgroups, defaults
from holdfast.runtime.cgroups import layout
from holdfast.runtime.cgroups.v1.hierarchy import Hierarchy

M = 1 << 20
RULES = [
    {"allow": allow, "type": kind, "major": major, "minor": minor, "access": access}
    for allow, kind, major, minor, access in defaults.DEVICE_RULES
]


@pytest.fixture
def hierarchy() -> Hierarchy:
    found = cgroups.detect()
    if not isinstance(found, Hierarchy):
        pytest.skip("this machine has cgroup v2 only")
    return found


@pytest.fixture
def parent(hierarchy: Hierarchy) -> Iterator[str]:
    path = f"/holdfast-test-{uuid.uuid4().hex[:8]}"
    yield path
    hierarchy.open(path).kill()
    hierarchy.open(path).remove()
    assert not hierarchy.open(path).exists()


def spawn_inside(cgroup: cgroups.Cgroup, *command: str) -> subprocess.Popen[bytes]:
    fds = cgroup.join_fds()
    try:
        return subprocess.Popen(
            command,
            preexec_fn=lambda: [os.write(fd, b"0") for fd in fds],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    finally:
        for fd in fds:
            os.close(fd)


def file(cgroup: cgroups.Cgroup, controller: str, name: str) -> str:
    return Path(cgroup.directories[controller], name).read_text().strip()  # pyright: ignore[reportAttributeAccessIssue]


def test_limits_and_membership_of_every_controller(hierarchy: Hierarchy, parent: str) -> None:
    resources = {
        "memory": {"limit": 64 * M, "swap": 128 * M},
        "pids": {"limit": 50},
        "cpu": {"shares": 512, "quota": 50_000, "period": 100_000, "cpus": "0"},
        "devices": RULES,
    }

    cgroup = hierarchy.create(f"{parent}/deep/one", resources)
    child = spawn_inside(cgroup, "cat", "/proc/self/cgroup")
    out, _ = child.communicate()

    paths = {line.split(":")[1]: line.split(":")[2] for line in out.decode().splitlines()}
    mounted = {word for mount in hierarchy.mounts for word in mount.controllers}
    assert {paths[word] for word in mounted if word in paths} == {cgroup.path}
    assert file(cgroup, "memory", "memory.limit_in_bytes") == str(64 * M)
    assert file(cgroup, "memory", "memory.memsw.limit_in_bytes") == str(128 * M)
    assert file(cgroup, "pids", "pids.max") == "50"
    assert file(cgroup, "cpu", "cpu.shares") == "512"
    assert file(cgroup, "cpu", "cpu.cfs_quota_us") == "50000"
    assert file(cgroup, "cpuset", "cpuset.cpus") == "0"
    assert file(cgroup, "cpuset", "cpuset.mems") != ""


def test_the_device_list_is_exact_and_holds(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/devices", {"devices": RULES})

    child = spawn_inside(cgroup, "sh", "-c", "cat /dev/null && head -c1 /dev/kmsg")
    _, err = child.communicate()

    expected = {"b *:* m", "c *:* m", "c 136:* rwm"}
    expected |= {f"c {number} rwm" for number in ("1:3", "1:5", "1:7", "1:8", "1:9", "5:0", "5:1", "5:2", "10:200")}
    assert set(file(cgroup, "devices", "devices.list").splitlines()) == expected
    assert child.returncode != 0
    assert b"Operation not permitted" in err


def test_kill_leaves_no_process_even_of_a_frozen_cgroup(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/killed", {})
    children = [spawn_inside(cgroup, "sh", "-c", "sleep 600 & sleep 600") for _ in range(3)]
    cgroup.freeze()
    frozen = cgroup.is_frozen()

    cgroup.kill()

    assert frozen
    assert [child.wait(timeout=5) for child in children] == [-signal.SIGKILL] * 3
    assert cgroup.pids() == []
    assert not cgroup.is_frozen()


def test_freeze_stops_and_thaw_resumes(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/frozen", {})
    child = spawn_inside(cgroup, "sh", "-c", "while :; do :; done")

    cgroup.freeze()
    before = cgroup.stats()["cpu"]["usage"]["total"]
    time.sleep(0.05)
    after = cgroup.stats()["cpu"]["usage"]["total"]
    cgroup.thaw()

    assert (cgroup.is_frozen(), child.poll()) == (False, None)
    assert after == before
    child.kill()
    child.wait()


def test_update_moves_limits_up_and_down(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/updated", {"memory": {"limit": 64 * M, "swap": 64 * M}})

    for size in (256 * M, 32 * M):
        cgroup.update({"memory": {"limit": size, "swap": size}, "pids": {"limit": 9}})
        assert file(cgroup, "memory", "memory.memsw.limit_in_bytes") == str(size)
        assert file(cgroup, "memory", "memory.limit_in_bytes") == str(size)
    cgroup.update({"memory": {"limit": -1}})

    assert int(file(cgroup, "memory", "memory.limit_in_bytes")) > 1 << 60
    assert file(cgroup, "pids", "pids.max") == "9"


def test_statistics_count_what_ran(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/counted", {"pids": {"limit": 20}, "memory": {"limit": 64 * M}})
    child = spawn_inside(cgroup, "sh", "-c", "echo ready; read x")
    assert child.stdout is not None
    child.stdout.readline()

    stats = cgroup.stats()
    child.kill()
    child.wait()

    assert stats["pids"] == {"current": 1, "limit": 20}
    assert stats["memory"]["usage"]["limit"] == 64 * M
    assert stats["memory"]["usage"]["usage"] > 0
    assert stats["cpu"]["usage"]["total"] > 0


def test_a_process_killed_for_want_of_memory_is_counted(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/hungry", {"memory": {"limit": 8 * M, "swap": 8 * M}})

    child = spawn_inside(cgroup, "python3", "-c", "b = bytearray(64 << 20)")
    child.communicate()

    assert child.returncode == -signal.SIGKILL
    assert cgroup.oom_kills() >= 1


@pytest.mark.parametrize("filled", [(), ("cpuset.cpus",)])
def test_a_parent_that_another_start_has_not_finished_is_finished(
    hierarchy: Hierarchy, parent: str, filled: tuple[str, ...]
) -> None:
    """Also one whose maker was killed over it: nothing can join below a cpuset without processors and nodes."""
    directories: dict[str, str] = hierarchy.open(parent).directories
    os.mkdir(directories["cpuset"])
    for name in filled:
        Path(directories["cpuset"], name).write_text(Path(directories["cpuset"], "..", name).read_text())

    cgroup = hierarchy.create(f"{parent}/child", {})
    child = spawn_inside(cgroup, "true")

    assert child.wait() == 0
    cgroup.remove()


def test_a_failed_create_leaves_nothing(hierarchy: Hierarchy, parent: str) -> None:
    with pytest.raises(InvalidArgument, match=r"cpuset\.cpus"):
        hierarchy.create(f"{parent}/wrong", {"cpu": {"cpus": "4000"}})

    assert not hierarchy.open(f"{parent}/wrong").exists()


def test_an_absent_controller_is_named(hierarchy: Hierarchy, parent: str) -> None:
    few = Hierarchy(tuple(mount for mount in hierarchy.mounts if "pids" not in mount.controllers), layout.V1)

    with pytest.raises(Unsupported, match="pids is not mounted"):
        few.create(f"{parent}/few", {"pids": {"limit": 3}})

    few.open(parent).remove()


def test_remove_takes_what_was_made_below_and_is_idempotent(hierarchy: Hierarchy, parent: str) -> None:
    cgroup = hierarchy.create(f"{parent}/nest", {})
    for directory in cgroup.directories.values():
        os.makedirs(f"{directory}/below/deeper", exist_ok=True)

    cgroup.remove()
    cgroup.remove()

    assert not cgroup.exists()


@pytest.mark.parametrize("path", ["relative", "/a/../../b"])
def test_paths_do_not_leave_the_hierarchy(hierarchy: Hierarchy, path: str) -> None:
    with pytest.raises(InvalidArgument):
        hierarchy.open(path)


def test_a_container_sees_its_own_cgroup_of_every_hierarchy_read_only(hierarchy: Hierarchy) -> None:
    mounts = hierarchy.container_mounts(hierarchy.open("/docker/abc"))

    assert (mounts[0].type, mounts[0].target) == ("tmpfs", "/sys/fs/cgroup")
    assert len(mounts) == 1 + len(hierarchy.mounts)
    assert all("ro" in each.options and each.source.endswith("/docker/abc") for each in mounts[1:])
