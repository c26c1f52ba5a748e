# SPDX-License-Identifier: Apache-2.0
"""Logs under stress, by real shims: floods, rotation, clients and collectors that do not read, a daemon that dies.

The numbers in the names are rows of the table of cases that Holdfast must hold.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
from collectors import Collector, split_lines, wait_for

MEGABYTE = 1 << 20


def _directory(daemon, name: str) -> Path:
    return daemon.root / "data/containers" / str(daemon.inspect(name)["Id"])


def _shim_pid(daemon, name: str) -> int:
    state = daemon.inspect(name)["State"]
    status = Path(f"/proc/{state['Pid']}/status").read_text()  # type: ignore[index]
    return int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])


def _own_bytes(pid: int) -> int:
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Private_"))


def _numbers(daemon, name: str) -> list[int]:
    return [int(line) for line in daemon.out("logs", name).split()]


@pytest.mark.parametrize("driver", ["json-file", "local"])
def test_45_a_flood_loses_no_line_and_costs_the_shim_little(daemon, driver: str) -> None:
    count = 500_000
    daemon.out(
        "run", "-d", "--name", "flood", "--log-driver", driver, "--log-opt", "max-size=1g", "--log-opt", "max-file=2",
        "story:1", "sh", "-c", f"busybox seq 1 {count}; echo done >&2; sleep 30",
    )  # fmt: skip
    pid = _shim_pid(daemon, "flood")
    peak = 0
    deadline = time.monotonic() + 40
    while "done" not in daemon.docker("logs", "--tail", "1", "flood").stderr:
        assert time.monotonic() < deadline
        peak = max(peak, _own_bytes(pid))
        time.sleep(0.1)
    peak = max(peak, _own_bytes(pid))

    read = subprocess.run(
        ["docker", "-H", f"unix://{daemon.socket}", "logs", "flood"], capture_output=True, check=True, timeout=50
    )
    daemon.out("rm", "-f", "flood")
    assert peak < 32 * MEGABYTE
    assert read.stdout.count(b"\n") == count
    assert read.stdout.startswith(b"1\n2\n")
    assert read.stdout.endswith(b"%d\n" % count)


def test_46_rotation_under_a_flood_tears_no_line(daemon) -> None:
    daemon.out(
        "run", "--name", "turn", "--log-opt", "max-size=1m", "--log-opt", "max-file=3",
        "story:1", "sh", "-c", "busybox seq 100000 400000",
    )  # fmt: skip

    directory = _directory(daemon, "turn")
    files = sorted(directory.glob("*-json.log*"))
    lines = [json.loads(line)["log"] for file in reversed(files) for line in file.read_text().splitlines()]
    sizes = [file.stat().st_size for file in files]
    read = _numbers(daemon, "turn")
    daemon.out("rm", "turn")
    assert len(files) == 3
    assert all(size < 1_001_000 for size in sizes)
    numbers = [int(line) for line in lines]
    assert numbers == list(range(numbers[0], 400_001)) == read


def test_46_following_through_rotation_misses_nothing(daemon) -> None:
    daemon.out(
        "run", "-d", "--name", "follow", "--log-driver", "local", "--log-opt", "max-size=100k", "--log-opt",
        "max-file=200", "story:1", "sh", "-c", "for i in 1 2 3 4 5 6 7 8; do busybox seq ${i}00000 ${i}29999; sleep .1; done",
    )  # fmt: skip

    said = [int(line) for line in daemon.out("logs", "-f", "follow").split()]

    daemon.out("rm", "follow")
    assert said == [number for block in range(1, 9) for number in range(block * 100_000, block * 100_000 + 30_000)]


def _request(daemon, method: str, path: str) -> socket.socket:
    """Asks and does not read; the answer waits in a small buffer."""
    sock = socket.socket(socket.AF_UNIX)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(str(daemon.socket))
    upgrade = "Connection: Upgrade\r\nUpgrade: tcp\r\n" if method == "POST" else ""
    sock.sendall(f"{method} {path} HTTP/1.1\r\nHost: d\r\n{upgrade}Content-Length: 0\r\n\r\n".encode())
    return sock


def test_44_a_stalled_reader_of_logs_costs_the_daemon_nothing_and_stops_no_container(daemon) -> None:
    daemon.out("run", "-d", "--name", "slow", "story:1", "sh", "-c", "sleep 1; busybox seq 1 400000; echo done >&2")
    before = _own_bytes(daemon.process.pid)
    stalled = [_request(daemon, "GET", "/containers/slow/logs?stdout=1&stderr=1&follow=1") for _ in range(3)]

    daemon.out("wait", "slow")
    time.sleep(0.3)
    after = _own_bytes(daemon.process.pid)

    for sock in stalled:
        sock.close()
    assert _numbers(daemon, "slow") == list(range(1, 400_001))
    daemon.out("rm", "slow")
    assert after - before < 24 * MEGABYTE


def test_43_a_stalled_attach_client_is_bounded_and_the_container_goes_on(daemon) -> None:
    daemon.out("run", "-d", "--name", "stuck", "story:1", "sh", "-c", "sleep 1; busybox seq 1 300000; sleep 30")
    pid = _shim_pid(daemon, "stuck")
    client = _request(daemon, "POST", "/containers/stuck/attach?stream=1&stdout=1&stderr=1")

    wait_for(lambda: daemon.docker("logs", "--tail", "1", "stuck").stdout == "300000\n", 25)

    assert _own_bytes(pid) < 32 * MEGABYTE
    client.close()
    daemon.out("rm", "-f", "stuck")


@pytest.mark.parametrize("mode", ["blocking", "non-blocking"])
def test_a_collector_that_does_not_read_never_keeps_a_container_from_being_stopped(
    daemon, mode: str, tmp_path: Path
) -> None:
    collector = Collector("unix", f"/var/tmp/c{os.getpid()}-{mode[0]}", split=split_lines, is_stalled=True)
    daemon.out(
        "run", "-d", "--name", "jam", "--log-driver", "syslog", "--log-opt", f"syslog-address=unix://{collector.address}",
        "--log-opt", f"mode={mode}", "story:1", "sh", "-c", "busybox seq 1 300000; echo done >&2; exec sleep 60",
    )  # fmt: skip
    pid = _shim_pid(daemon, "jam")
    time.sleep(2)

    has_gone_on = "done" in daemon.docker("logs", "--tail", "1", "jam").stderr
    said = daemon.out("exec", "jam", "echo", "alive")
    began = time.monotonic()
    peak = _own_bytes(pid)
    daemon.out("kill", "jam")
    daemon.out("wait", "jam")
    took = time.monotonic() - began

    daemon.out("rm", "-f", "jam")
    collector.stop()
    assert has_gone_on == (mode == "non-blocking")
    assert said == "alive"
    assert took < 5
    assert peak < 32 * MEGABYTE


def test_11_logs_go_on_while_the_daemon_is_dead(daemon) -> None:
    collector = Collector("unix", f"/var/tmp/c{os.getpid()}-d", split=split_lines)
    script = "i=0; while [ $i -lt 40 ]; do echo $i; i=$((i+1)); busybox usleep 50000; done"
    options = {
        "file": ["--log-driver", "json-file"],
        "records": ["--log-driver", "local"],
        "remote": ["--log-driver", "syslog", "--log-opt", f"syslog-address=unix://{collector.address}"],
    }
    for name, flags in options.items():
        daemon.out("run", "-d", "--name", name, *flags, "story:1", "sh", "-c", script)
    time.sleep(0.5)

    daemon.end(signal.SIGKILL)
    wait_for(lambda: sum(b": 39" in message for message in collector.messages) == 1, 20)
    daemon.start()

    for name in options:
        daemon.out("wait", name)
        assert _numbers(daemon, name) == list(range(40)), name
        daemon.out("rm", name)
    assert len(collector.messages) == 40
    collector.stop()
