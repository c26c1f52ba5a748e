# SPDX-License-Identifier: Apache-2.0
"""Volumes on an NFS server, by the options that Docker's documentation has: the machine mounts an export of its own.

The development machines' kernel knows no NFS. Run by tests/vm/run.sh, in the machine: `tests/vm/run.sh tests/vm/nfs_volumes.py`.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

IMAGE = "busybox:1.37.0-musl"
SHARED = Path(__file__).resolve().parents[3] / "shared"
HOME = Path("/var/tmp/hf-nfs")
EXPORT = Path("/srv/export")
ENVIRONMENT = {**os.environ, "DOCKER_HOST": f"unix://{HOME}/d.sock"}
NFS4 = ["-o", "type=nfs", "-o", "o=addr=127.0.0.1,rw,vers=4.2,soft,timeo=50,retrans=1"]


def docker(*words: str, check: bool = True) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, env=ENVIRONMENT, timeout=300)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def sh(script: str, *flags: str, check: bool = True) -> str:
    return docker("run", "--rm", "--network", "none", *flags, IMAGE, "sh", "-c", script, check=check)


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
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir()
    program = [sys.executable, "-m", "holdfast.daemon.main", "-H", f"unix://{HOME}/d.sock", "--bridge", "none"]
    program += ["--data-root", f"{HOME}/data", "--exec-root", f"{HOME}/exec", "--pidfile", f"{HOME}/pid"]
    with open(HOME / "log", "wb") as log:
        process = subprocess.Popen(program, stdout=log, stderr=log)
    while subprocess.run(["docker", "version"], env=ENVIRONMENT, capture_output=True, check=False).returncode:
        assert process.poll() is None, (HOME / "log").read_text()
        time.sleep(0.5)
    layout = f"oci:{SHARED}/images/busybox-1.37.0-musl:{IMAGE}"
    subprocess.run(["skopeo", "copy", "-q", layout, f"docker-archive:{HOME}/b.tar:{IMAGE}"], check=True)
    docker("load", "-i", f"{HOME}/b.tar")
    yield
    process.terminate()
    process.wait(60)
    assert "Traceback" not in (HOME / "log").read_text()


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
