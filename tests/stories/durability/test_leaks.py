# SPDX-License-Identifier: Apache-2.0
"""Hundreds of containers come, fail and go: the host is as it was, and the daemon holds no more descriptors than before."""

from __future__ import annotations

import json
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdfast.kernel import netns

IMAGE = "story:1"
SLACK = 5  # descriptors that may come and go with threads, kept connections and the network namespace made ahead


def grown(daemon: Any, before: dict[str, int]) -> dict[str, int]:
    """Descriptors that daemon and spawner hold beyond the slack; waits a little for closing connections."""
    deadline = time.monotonic() + 20
    while True:
        now = daemon.fds()
        found = {name: now[name] - count for name, count in before.items() if now[name] - count > SLACK}
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def socket_in(name: str) -> socket.socket:
    """A socket of a network namespace, for who is not in it."""
    home = netns.open_current()
    try:
        with netns.enter(f"/run/netns/{name}") as space:
            return netns.inside(space.fd, home, socket.socket)
    finally:
        os.close(home)


def test_two_hundred_runs_in_a_row_leak_nothing(daemon: Any) -> None:
    for _ in range(5):
        daemon.out("run", "--rm", IMAGE, "true")
    assert daemon.leftovers() == {}
    fds, memory = daemon.fds(), daemon.rss(daemon.pid)

    for number in range(200):
        done = daemon.docker(
            "run", "--rm", "-p", "8250:80", "-v", "/data", IMAGE, "sh", "-c", f"echo {number}; exit {number % 256}"
        )
        assert (done.returncode, done.stdout) == (number % 256, f"{number}\n"), done.stderr

    assert daemon.leftovers() == {}
    assert grown(daemon, fds) == {}
    assert daemon.rss(daemon.pid) - memory < 12 << 20


def test_twenty_at_once_leak_nothing(daemon: Any) -> None:
    daemon.out("run", "--rm", IMAGE, "true")
    fds = daemon.fds()

    with ThreadPoolExecutor(20) as pool:
        codes = list(
            pool.map(lambda n: daemon.docker("run", "--rm", IMAGE, "sh", "-c", f"exit {n}").returncode, range(20))
        )

    assert codes == list(range(20))
    assert daemon.leftovers() == {}
    assert grown(daemon, fds) == {}


def test_many_execs_leak_nothing(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "host", IMAGE, "sleep", "300")
    daemon.out("exec", "host", "true")
    shim = daemon.shim_of("host")
    fds, in_shim = daemon.fds(), len(list(Path(f"/proc/{shim}/fd").iterdir()))

    for number in range(40):
        assert daemon.docker("exec", "-i", "host", "sh", "-c", f"cat; exit {number}", stdin="x").returncode == number

    assert grown(daemon, fds) == {}
    assert abs(len(list(Path(f"/proc/{shim}/fd").iterdir())) - in_shim) <= SLACK


def test_clients_that_leave_before_the_start_leak_nothing(daemon: Any) -> None:
    daemon.out("create", "--name", "waited-for", IMAGE, "true")
    fds = daemon.fds()

    for _ in range(30):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(daemon.socket))
            client.sendall(b"POST /containers/waited-for/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
            assert client.recv(200).startswith(b"HTTP/1.1 200")

    assert grown(daemon, fds) == {}
    daemon.out("rm", "waited-for")


FAILURES = {
    "a bad command": {"Cmd": ["/nosuch"]},
    "a directory as command": {"Cmd": ["/etc"]},
    "a bad mount source": {"HostConfig": {"Binds": ["/proc/nothere/x:/x"]}},
    "a mount source that vanished": {"HostConfig": {"Mounts": [{"Type": "bind", "Source": "/gone", "Target": "/x"}]}},
    "a mount on /proc": {"HostConfig": {"Binds": ["/tmp:/proc/sys"]}},
    "a bad cgroup value": {"HostConfig": {"CpusetCpus": "900"}},
    "a refused cgroup value": {"HostConfig": {"CpuQuota": 999}},
    "a taken port": {
        "ExposedPorts": {"80/tcp": {}},
        "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "8251"}]}},
    },
    "an unknown network": {"HostConfig": {"NetworkMode": "nosuch"}},
    "a joined container that is gone": {"HostConfig": {"NetworkMode": "container:nosuch"}},
    "a bad user": {"User": "nobody-here"},
    "a bad working directory": {"WorkingDir": "/etc/passwd/x"},
    "a foreign sysctl": {"HostConfig": {"Sysctls": {"kernel.core_pattern": "x"}}},
    "a bad device": {"HostConfig": {"Devices": [{"PathOnHost": "/nodev", "PathInContainer": "/x", "CgroupPermissions": "r"}]}},
    "a bad seccomp profile": {"HostConfig": {"SecurityOpt": ["seccomp={\"defaultAction\":\"SCMP_ACT_NONSENSE\"}"]}},
    "a bad log option": {"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "x"}}}},
}  # fmt: skip


@pytest.mark.parametrize("what", FAILURES)
def test_starts_that_fail_leak_nothing(daemon: Any, what: str) -> None:
    fds = daemon.fds()
    daemon.out("run", "-d", "-p", "8251:80", "--name", "holder", IMAGE, "sleep", "300")
    wish = {"Image": IMAGE, "Cmd": ["true"], **json.loads(json.dumps(FAILURES[what]))}

    for _ in range(50):
        status, body = daemon.api("POST", "/containers/create", wish)
        if status == 201:
            made = json.loads(body)["Id"]
            status, body = daemon.api("POST", f"/containers/{made}/start")
            shown = json.loads(daemon.api("GET", f"/containers/{made}/json")[1])["State"]
            assert shown["Status"] == "created"
            assert shown["Error"]
            assert daemon.api("DELETE", f"/containers/{made}")[0] == 204
        assert status >= 400, (what, status, body)
        assert b"Traceback" not in body
        assert json.loads(body)["message"]

    daemon.out("rm", "-f", "holder")
    assert daemon.leftovers() == {}
    assert grown(daemon, fds) == {}
    assert daemon.tracebacks() == ""


def test_an_unwritable_data_directory_is_told_and_leaks_nothing(daemon: Any) -> None:
    folder = daemon.data / "containers"
    folder.mkdir(exist_ok=True)
    folder.rename(daemon.data / "aside")
    folder.write_text("a file where the directory should be")
    try:
        for _ in range(10):
            done = daemon.docker("create", IMAGE, "true")
            assert done.returncode == 1
            assert "Error response from daemon" in done.stderr
            assert "Traceback" not in done.stderr
    finally:
        folder.unlink()
        (daemon.data / "aside").rename(folder)

    assert daemon.leftovers() == {}
    assert daemon.out("run", "--rm", IMAGE, "echo", "again") == "again"


def test_a_published_port_is_free_when_the_removal_is_answered(daemon: Any) -> None:
    for _ in range(5):
        container_id = daemon.out("run", "-d", "-p", "8251:80", IMAGE, "sleep", "300")

        with socket_in(daemon.netns) as taker:
            status, _ = daemon.api("DELETE", f"/containers/{container_id}?force=1")
            taker.bind(("0.0.0.0", 8251))

        assert status == 204
    assert daemon.leftovers() == {}
