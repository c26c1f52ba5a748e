# SPDX-License-Identifier: Apache-2.0
"""Volumes on an NFS server, by the options that Docker's documentation has: the machine mounts an export of its own.

The development machines' kernel knows no NFS. Run by tests/vm/run.sh, in the machine: `tests/vm/run.sh tests/vm/nfs_volumes.py`.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from machine import HOME, IMAGE, docker, running_daemon, sh

EXPORT = Path("/srv/export")
NFS4 = ["-o", "type=nfs", "-o", "o=addr=127.0.0.1,rw,vers=4.2,soft,timeo=50,retrans=1"]


def mounts() -> list[str]:
    return [line for line in Path("/proc/mounts").read_text().splitlines() if f"{HOME}/data/volumes/" in line]


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    (EXPORT / "below").mkdir(parents=True, exist_ok=True)
    Path("/etc/exports").write_text(f"{EXPORT} 127.0.0.1(rw,no_root_squash,insecure,fsid=0,no_subtree_check)\n")
    subprocess.run(["systemctl", "restart", "nfs-server"], check=True)
    yield
    subprocess.run(["systemctl", "stop", "nfs-server"], check=True)


@pytest.fixture(scope="module", autouse=True)
def daemon(server: None) -> Iterator[None]:
    with running_daemon("--bridge", "none"):
        yield


def test_an_export_is_mounted_while_it_is_used() -> None:
    docker("volume", "create", *NFS4, "-o", "device=:/", "whole")
    name = docker("run", "-d", "--network", "none", "-v", "whole:/d", IMAGE, "sleep", "1000").strip()

    docker("exec", name, "sh", "-c", "echo hello > /d/file")
    seen = docker("exec", name, "grep", " /d ", "/proc/mounts")
    on_host = mounts()
    docker("rm", "-f", name)

    assert " /d nfs4 rw," in seen
    assert "addr=127.0.0.1" in seen
    assert len(on_host) == 1
    assert (EXPORT / "file").read_text() == "hello\n"
    assert mounts() == []
    docker("volume", "rm", "whole")
    assert (EXPORT / "file").exists()


def test_a_directory_below_and_a_server_by_name() -> None:
    docker("volume", "create", "-o", "type=nfs4", "-o", "o=addr=localhost,ro,soft", "-o", "device=:/below", "part")
    (EXPORT / "below/one").write_text("1")

    seen = sh("ls /d; touch /d/two; grep ' /d ' /proc/mounts", "-v", "part:/d", check=False)

    assert "one" in seen
    assert "Read-only file system" in seen
    assert "/below /d nfs4 ro," in seen
    docker("volume", "rm", "part")


def test_two_containers_share_one_mount_that_outlives_the_first() -> None:
    docker("volume", "create", *NFS4, "-o", "device=:/", "shared")
    names = [docker("run", "-d", "--network", "none", "-v", "shared:/d", IMAGE, "sleep", "1000").strip() for _ in "12"]

    docker("exec", names[0], "touch", "/d/of-both")
    docker("rm", "-f", names[0])

    assert "of-both" in docker("exec", names[1], "ls", "/d")
    docker("rm", "-f", names[1])
    assert mounts() == []


def test_what_cannot_be_mounted_is_told_and_leaves_nothing() -> None:
    docker("volume", "create", *NFS4, "-o", "device=:/nowhere", "nowhere")
    docker("volume", "create", "-o", "type=nfs", "-o", "o=addr=no.such.host.invalid", "-o", "device=:/", "unknown")

    missing = sh("true", "-v", "nowhere:/d", check=False)
    unknown = sh("true", "-v", "unknown:/d", check=False)

    assert "failed to mount local volume: mount :/nowhere:" in missing
    assert "no such file or directory" in missing
    assert "lookup no.such.host.invalid" in unknown
    assert mounts() == []
    assert docker("ps", "-aq") == ""
