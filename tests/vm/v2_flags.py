# SPDX-License-Identifier: Apache-2.0
"""Limits, devices, pause, update, statistics and want of memory on a machine with cgroup v2 alone.

The values are those that dockerd 28.5 with runc writes on such a machine. Run by tests/vm/run.sh, in the machine.
"""

import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import IMAGE, docker, running_daemon, sh


@pytest.fixture(scope="module", autouse=True)
def daemon() -> Iterator[None]:
    assert subprocess.run(["stat", "-fc%T", "/sys/fs/cgroup"], capture_output=True, text=True).stdout == "cgroup2fs\n"
    with running_daemon("--bridge", "none"):
        yield


def test_limits_are_in_their_files() -> None:
    files = ["memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "pids.max", "cpuset.cpus"]
    flags = ["-m", "64m", "--memory-swap", "96m", "--memory-reservation", "32m", "--cpus", "0.5", "--cpu-shares", "512"]
    flags += ["--pids-limit", "50", "--cpuset-cpus", "0", "--network", "none"]

    values = sh(f"cd /sys/fs/cgroup; cat {' '.join(files)}", *flags).split("\n")

    # 512 shares are the weight 59 by the newest runc (20 by those before 1.4)
    expected = [str(64 << 20), str(32 << 20), str(32 << 20), "50000 100000", "59", "50", "0", ""]
    assert values == expected


def test_an_update_moves_them() -> None:
    name = docker("run", "-d", "--network", "none", "-m", "64m", IMAGE, "sleep", "1000").strip()
    docker("update", "-m", "128m", "--memory-swap", "256m", "--cpus", "1.5", "--pids-limit", "9", name)

    seen = docker("exec", name, "sh", "-c", "cd /sys/fs/cgroup; cat memory.max memory.swap.max cpu.max pids.max")
    docker("rm", "-f", name)

    assert seen.split("\n")[:4] == [str(128 << 20), str(128 << 20), "150000 100000", "9"]


def test_pause_freezes() -> None:
    name = docker("run", "-d", "--network", "none", IMAGE, "sleep", "1000").strip()
    directory = Path("/sys/fs/cgroup/docker") / name

    docker("pause", name)
    frozen = (directory / "cgroup.freeze").read_text(), docker("ps", "--format", "{{.Status}}")
    docker("unpause", name)
    thawed = (directory / "cgroup.freeze").read_text()
    docker("rm", "-f", name)

    assert frozen[0] == "1\n"
    assert "Paused" in frozen[1]
    assert thawed == "0\n"
    assert not directory.exists()


def test_want_of_memory_is_told() -> None:
    greedy = "x=aaaaaaaaaaaaaaaa; while :; do x=$x$x; done"
    docker("run", "--name", "oom", "--network", "none", "-m", "16m", "--memory-swap", "16m", IMAGE, "sh", "-c",
           f"sh -c '{greedy}'; exit 5", check=False)  # fmt: skip
    state = docker("inspect", "-f", "{{.State.ExitCode}} {{.State.OOMKilled}}", "oom").strip()
    time.sleep(1.1)  # the client's `until` is in whole seconds
    told = docker("events", "--since", "1h", "--until", "0s", "--filter", "event=oom", "--format", "{{.Action}}")
    docker("rm", "oom")

    assert state == "5 true"
    assert told.split() == ["oom"]


def test_devices_are_judged_by_a_program() -> None:
    probe = "mknod /l c 10 237; (: < /l) 2>&1; (: < /dev/zero) && echo zero"

    assert sh(probe, "--network", "none").splitlines() == ["sh: can't open /l: Operation not permitted", "zero"]
    assert sh(probe, "--network", "none", "--device-cgroup-rule", "c 10:237 r").splitlines() == ["zero"]
    assert sh(probe, "--network", "none", "--privileged").splitlines() == ["zero"]


def test_the_cgroup_namespace_is_private_and_read_only() -> None:
    seen = sh("cat /proc/self/cgroup; grep -o ' /sys/fs/cgroup r[ow],.*' /proc/self/mountinfo", "--network", "none")
    writable = sh("mkdir /sys/fs/cgroup/x && echo made", "--network", "none", "--security-opt", "writable-cgroups=true")

    assert seen.splitlines()[0] == "0::/"
    assert " ro,nosuid,nodev,noexec" in seen
    assert writable == "made\n"


def test_statistics_have_what_clients_read() -> None:
    name = docker("run", "-d", "--network", "none", "-m", "64m", IMAGE, "sleep", "1000").strip()

    line = json.loads(docker("stats", "--no-stream", "--format", "json", name))
    docker("rm", "-f", name)

    assert line["MemUsage"].endswith("/ 64MiB")
    assert line["PIDs"] == "1"


def test_what_only_version_1_has_is_discarded() -> None:
    said = docker("create", "--name", "v1only", "--oom-kill-disable", "--memory-swappiness", "5", IMAGE)
    kept = docker("inspect", "-f", "{{.HostConfig.OomKillDisable}} {{.HostConfig.MemorySwappiness}}", "v1only")
    docker("rm", "v1only")

    assert "OomKillDisable discarded" in said
    assert "Memory swappiness discarded" in said
    assert kept.strip() == "<nil> <nil>"


def test_an_apparmor_profile_is_entered() -> None:
    """Where the kernel has AppArmor; a profile that is not loaded is named."""
    if not Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y"):
        pytest.fail("this machine has no AppArmor: boot the one of vm.sh")
    profile = "profile hf-test flags=(attach_disconnected) { file, capability, deny /etc/passwd r, }\n"
    subprocess.run(["apparmor_parser", "-r"], input=profile, text=True, check=True)
    flags = ["--network", "none", "--security-opt"]

    seen = sh("cat /proc/self/attr/current; cat /etc/passwd || true", *flags, "apparmor=hf-test")
    missing = docker("run", "--rm", *flags, "apparmor=nosuch", IMAGE, "true", check=False)

    assert seen.startswith("hf-test (enforce)")
    assert "Permission denied" in seen
    assert "apparmor failed to apply profile" in missing


def test_an_init_reaps() -> None:
    script = "cat /proc/1/comm; (sleep 0.01 &); sleep 1; grep -l '^State:.Z' /proc/[0-9]*/status | wc -l"

    said = sh(script, "--init", "--network", "none")

    assert said.split() == ["docker-init", "0"]
