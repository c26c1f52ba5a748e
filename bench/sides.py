# SPDX-License-Identifier: Apache-2.0
"""The two daemons of a benchmark: a real dockerd and Holdfast, each in a network namespace of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from holdfast.client.address import Endpoint
from holdfast.client.api import Api

REPOSITORY = Path(__file__).resolve().parent.parent
SHARED = REPOSITORY.parent / "shared"
STATE = Path("/var/tmp/holdfast-bench")


class Side:
    """One daemon: its socket, its network namespace, and the processes whose memory counts as its own."""

    def __init__(self, name: str, socket: Path, netns: str) -> None:
        self.name, self.socket, self.netns = name, socket, netns
        self.api = Api(Endpoint("unix", str(socket)), version=(1, 51))

    def docker(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        """Runs the docker CLI against this daemon; raises when it fails."""
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}"}
        return subprocess.run(["docker", *arguments], env=environment, capture_output=True, check=True, **options)  # type: ignore[call-overload, no-any-return]

    def daemon_pids(self) -> list[int]:
        raise NotImplementedError

    def shim_pids(self) -> list[int]:
        raise NotImplementedError

    def stop(self) -> None:
        raise NotImplementedError


def _processes() -> dict[int, str]:
    found: dict[int, str] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                found[int(entry)] = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def _family(pid: int) -> list[int]:
    """The daemon, its spawner, and the spare shims that wait for a start; not the shims of containers."""
    if Path(f"/proc/{pid}/comm").read_text().startswith("hold-shim"):
        return []
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(member for child in children for member in _family(int(child)))]


class Dockerd(Side):
    """The peer, started and stopped by its own script."""

    def __init__(self, name: str) -> None:
        self._script = SHARED / "tools" / "peer-dockerd.sh"
        subprocess.run([self._script, "start", name], check=True, stdout=subprocess.DEVNULL)
        self._home = Path(os.environ.get("PEER_HOME", "/var/tmp/peer-dockerd")) / name
        super().__init__("dockerd", self._home / "docker.sock", name)

    def daemon_pids(self) -> list[int]:
        mark = str(self._home)
        return [
            pid
            for pid, line in _processes().items()
            if mark in line and "shim" not in line and line.split()[0].endswith(("dockerd", "containerd"))
        ]

    def shim_pids(self) -> list[int]:
        mark = str(self._home)
        return [pid for pid, line in _processes().items() if mark in line and "containerd-shim" in line.split()[0]]

    def stop(self) -> None:
        # dockerd leaves the mount of its default network namespace behind when it is stopped while containers end.
        subprocess.run([self._script, "stop", self.netns], check=False, stderr=subprocess.DEVNULL)
        subprocess.run(["umount", "-l", str(self._home / "exec/netns/default")], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(self._home, ignore_errors=True)


class Holdfastd(Side):
    """Our daemon, from this checkout, with flags of the measure's own."""

    def __init__(self, name: str, *flags: str) -> None:
        home = STATE / name
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        self._home = home
        subprocess.run(["ip", "netns", "add", name], check=True)
        subprocess.run(["nsenter", f"--net=/run/netns/{name}", "ip", "link", "set", "lo", "up"], check=True)
        socket = home / "docker.sock"
        program = [
            sys.executable,
            "-m",
            "holdfast.daemon.main",
            "-H",
            f"unix://{socket}",
            "--data-root",
            str(home / "data"),
        ]
        with open(home / "log", "wb") as log:
            self._process = subprocess.Popen(
                [
                    "nsenter",
                    f"--net=/run/netns/{name}",
                    *program,
                    "--exec-root",
                    str(home / "exec"),
                    "--pidfile",
                    str(home / "pid"),
                    *flags,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 10
        while not socket.exists():
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"holdfastd did not start: {(home / 'log').read_text()[-2000:]}")
            time.sleep(0.02)
        super().__init__("holdfast", socket, name)

    def daemon_pids(self) -> list[int]:
        return _family(self._process.pid)

    def shim_pids(self) -> list[int]:
        found: list[int] = []
        for pid in _processes():
            try:
                if Path(f"/proc/{pid}/comm").read_text().startswith("hold-shim"):
                    found.append(pid)
            except OSError:
                continue
        return found

    def stop(self) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(20)
        subprocess.run(["ip", "netns", "del", self.netns], check=False)
        shutil.rmtree(self._home, ignore_errors=True)


def private_bytes(pids: list[int]) -> int:
    """Private dirty memory of the processes, in bytes (/proc/PID/smaps_rollup)."""
    total = 0
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Private_Dirty:"):
                total += int(line.split()[1]) * 1024
    return total
