# SPDX-License-Identifier: Apache-2.0
"""A dockerd and a holdfastd of a test module's own, started with the same flags."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from compat_case import Daemon  # imported by nobody before conftest.py has its asserts rewritten

IMAGE = "busybox:1.37.0-musl"
PROGRAMS = Path("/var/tmp/peer-dockerd/bin-sid")

Pair = tuple["Daemon", "Daemon"]
StartBoth = Callable[..., AbstractContextManager[Pair]]


@contextmanager
def started_dockerd(name: str, daemon_type: type[Daemon], *flags: str) -> Iterator[Daemon]:
    """A peer with flags of its own."""
    home = Path("/var/tmp/peer-dockerd") / name
    home.mkdir()
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["nsenter", f"--net=/run/netns/{name}"]
    subprocess.run([*inside, "sh", "-c", "ip link set lo up; echo 0 > /proc/sys/net/ipv4/ip_forward"], check=True)
    socket = home / "docker.sock"
    places = [f"--data-root={home}/data", f"--exec-root={home}/exec", f"--pidfile={home}/docker.pid"]
    daemon = daemon_type("dockerd", socket, name)
    (home / "docker-init").symlink_to(shutil.which("tini-static") or "/usr/bin/tini-static")
    environment = {**os.environ, "PATH": f"{PROGRAMS}:{os.environ['PATH']}:{home}"}
    with open(home / "dockerd.log", "wb") as log:
        process = subprocess.Popen(
            [*inside, "dockerd", "-H", f"unix://{socket}", *places, *flags], env=environment, stdout=log, stderr=log
        )
    try:
        deadline = time.monotonic() + 30
        while daemon.sh("docker version").returncode:
            assert process.poll() is None, (home / "dockerd.log").read_text()[-3000:]
            assert time.monotonic() < deadline, (home / "dockerd.log").read_text()[-3000:]
            time.sleep(0.2)
        yield daemon
    finally:
        daemon.sh("docker ps -aq | xargs -r docker rm -f")
        process.terminate()
        process.wait(30)
        subprocess.run(["umount", "-l", str(home / "exec/netns/default")], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["ip", "netns", "del", name], check=False)
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def started_both(
    daemon_type: type[Daemon],
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]],
    archives: dict[str, Path],
    name: str,
    *flags: str,
) -> Iterator[Pair]:
    with (
        started_dockerd(f"{name}-peer", daemon_type, *flags) as theirs,
        start_holdfastd(name, Path("/var/tmp") / name, *flags) as ours,
    ):
        for daemon in (theirs, ours):
            loaded = daemon.sh(f"docker load -i {archives[IMAGE]}")
            assert loaded.returncode == 0, loaded.stderr
        yield theirs, ours
