# SPDX-License-Identifier: Apache-2.0
"""kill -9 of holdfastd, of the spawner, of a shim, of a container's init: what lives on, what is told, what is left."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from holdfast.client.address import Endpoint
from holdfast.client.api import Api

IMAGE = "story:1"
WEB = "mkdir -p /www; echo $NAME > /www/index.html; exec httpd -f -p 80 -h /www"
COUNTER = "n=0; while :; do n=$((n+1)); echo $n; usleep 50000; done"


def eventually(claim: Callable[[], Any], seconds: float = 10.0) -> Any:
    """Waits until the claim holds, and fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(0.03)
    assert value
    return value


def moment(text: str) -> float:
    """Docker's time as seconds since 1970."""
    return datetime.fromisoformat(text[:26].rstrip("Z") + "Z").timestamp()


class Terminal:
    """A docker CLI on a pty of its own."""

    def __init__(self, command: list[str]) -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True)
        os.close(slave)
        self.seen = b""

    def type(self, text: str) -> None:
        """Types."""
        os.write(self.master, text.encode())

    def expect(self, text: str, seconds: float = 10.0) -> None:
        """Waits for a text on the screen, then forgets what came before it."""
        deadline = time.monotonic() + seconds
        while text.encode() not in self.seen:
            assert time.monotonic() < deadline, (text, self.seen)
            if select.select([self.master], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    self.seen += os.read(self.master, 4096)
        self.seen = self.seen.partition(text.encode())[2]

    def close(self) -> None:
        """Ends the CLI."""
        self.process.kill()
        self.process.wait()
        os.close(self.master)


ENDS = "trap 'echo last; exit 42' TERM; while :; do sleep 0.05; done"


def test_ten_containers_outlive_a_killed_daemon(daemon: Any) -> None:
    names = [f"web{number}" for number in range(6)]
    for number, name in enumerate(names):
        daemon.out(
            "run", "-d", "--name", name, "-e", f"NAME={name}", "-p", f"{8100 + number}:80", IMAGE, "sh", "-c", WEB
        )
    daemon.out("run", "-d", "--name", "counts", IMAGE, "sh", "-c", COUNTER)
    daemon.out("run", "-d", "--name", "ends", IMAGE, "sh", "-c", ENDS)
    daemon.out("run", "-d", "--name", "again", "--restart", "always", IMAGE, "sh", "-c", "sleep 1; exit 1")
    daemon.out("run", "-d", "--name", "thrice", "--restart", "on-failure:3", IMAGE, "sleep", "300")
    lasting = [*names, "counts", "thrice"]
    pids = {name: daemon.pid_of(name) for name in lasting}
    ends = daemon.pid_of("ends")
    eventually(lambda: all(daemon.fetch(8100 + number) for number in range(6)))
    before = len(daemon.out("logs", "counts").split())

    killed_at = time.time()
    daemon.kill()
    os.kill(ends, signal.SIGTERM)
    dead_answers = [daemon.fetch(8100 + number).strip() for number in range(6)]
    time.sleep(1.5)
    started_at = time.time()
    seconds = daemon.start()

    assert dead_answers == names
    assert seconds < 5  # bench/ holds the half second
    assert {name: daemon.pid_of(name) for name in lasting} == pids
    numbers = [int(text) for text in daemon.out("logs", "counts").split()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > before + 15
    state = daemon.inspect("ends")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 42)
    assert killed_at < moment(state["FinishedAt"]) < started_at
    assert daemon.out("logs", "ends") == "last"
    assert daemon.out("exec", "web0", "echo", "still here") == "still here"
    assert [daemon.fetch(8100 + number).strip() for number in range(6)] == names
    eventually(lambda: daemon.inspect("again")["RestartCount"] >= 0 and daemon.inspect("again")["State"]["Running"])
    daemon.out("stop", "-t", "0", "thrice")
    assert daemon.inspect("thrice")["State"]["ExitCode"] == 137


def test_a_terminal_session_does_not_notice_that_the_daemon_was_killed(daemon: Any) -> None:
    session = Terminal(daemon.docker_command("run", "-it", "--name", "tty", IMAGE, "sh"))
    try:
        session.expect("/ # ")
        session.type("echo a$((1+1))b\n")
        session.expect("a2b")

        daemon.kill()
        session.type("echo c$((2+2))d\n")
        session.expect("c4d")
        daemon.start()
        session.type("echo e$((3+3))f\n")
        session.expect("e6f")

        second = Terminal(daemon.docker_command("attach", "tty"))
        try:
            second.type("echo g$((4+4))h\n")
            second.expect("g8h")
            session.expect("g8h")
        finally:
            second.close()
        session.type("exit 3\n")
        eventually(lambda: daemon.inspect("tty")["State"]["ExitCode"] == 3)
    finally:
        session.close()


def test_an_attached_client_without_a_terminal_gets_everything(daemon: Any) -> None:
    """The client is the bare API: the docker CLI may leave when the wait that it also holds breaks with the daemon."""
    api = Api(Endpoint("unix", str(daemon.socket)), version=(1, 47))
    body = {"Image": IMAGE, "Cmd": ["cat"], "OpenStdin": True, "StdinOnce": True, "AttachStdin": True}
    container_id = api.call("POST", "/containers/create", query={"name": "piped"}, body=body)["Id"]
    query = {"stream": True, "stdin": True, "stdout": True}
    stream = api.upgrade(f"/containers/{container_id}/attach", query=query).stream
    api.call("POST", f"/containers/{container_id}/start")
    api.close()
    stream.sendall(b"one\n")
    assert _frame(stream) == b"one\n"

    daemon.restart()
    stream.sendall(b"two\n")
    stream.shutdown(socket.SHUT_WR)

    assert _frame(stream) == b"two\n"
    assert stream.recv(1) == b""
    eventually(lambda: daemon.inspect("piped")["State"]["Status"] == "exited")
    assert daemon.inspect("piped")["State"]["ExitCode"] == 0


def _frame(stream: Any) -> bytes:
    """The data of the next frame of a multiplexed stream."""
    head = b""
    while len(head) < 8:
        head += stream.recv(8 - len(head))
    data = b""
    while len(data) < int.from_bytes(head[4:], "big"):
        data += stream.recv(4096)
    return data


def test_restart_policies_over_a_killed_daemon(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "always", "--restart", "always", IMAGE, "sleep", "1")
    daemon.out("run", "-d", "--name", "unless", "--restart", "unless-stopped", IMAGE, "sleep", "300")
    daemon.out("run", "-d", "--name", "stopped", "--restart", "unless-stopped", IMAGE, "sleep", "300")
    daemon.out("run", "-d", "--name", "failed", "--restart", "on-failure", IMAGE, "sh", "-c", "sleep 1; exit 5")
    daemon.out("run", "-d", "--name", "never", IMAGE, "sleep", "1")
    daemon.out("run", "-d", "--rm", "--name", "removed", IMAGE, "sleep", "1")
    daemon.out("stop", "-t", "0", "stopped")
    pid = daemon.pid_of("unless")

    daemon.kill()
    time.sleep(1.3)
    daemon.start()

    eventually(lambda: daemon.inspect("always")["State"]["Running"])
    eventually(lambda: daemon.inspect("failed")["State"]["Running"])
    assert daemon.pid_of("unless") == pid
    assert daemon.inspect("stopped")["State"]["Status"] == "exited"
    assert daemon.inspect("never")["State"]["Status"] == "exited"
    eventually(lambda: daemon.docker("inspect", "removed").returncode == 1)


def test_retries_are_counted_over_a_killed_daemon(daemon: Any) -> None:
    """dockerd counts from 0 again, and starts an `on-failure` container that its user has stopped."""
    daemon.out("run", "-d", "--name", "spent", "--restart", "on-failure:1", IMAGE, "false")
    daemon.out("run", "-d", "--name", "well", "--restart", "on-failure", IMAGE, "sleep", "1")
    daemon.out("run", "-d", "--name", "stopped", "--restart", "on-failure", IMAGE, "sleep", "300")
    daemon.out("stop", "-t", "0", "stopped")
    daemon.out("run", "-d", "--name", "kept", "--restart", "on-failure:3", IMAGE, "sh", "-c", "sleep 0.3; exit 4")
    eventually(lambda: daemon.inspect("kept")["RestartCount"] >= 1)
    eventually(lambda: daemon.inspect("spent")["State"]["Status"] == "exited")

    daemon.kill()
    time.sleep(1.3)
    daemon.start()

    assert daemon.inspect("kept")["RestartCount"] >= 1
    eventually(lambda: daemon.inspect("kept")["State"]["Status"] == "exited")
    counts = {name: daemon.inspect(name)["RestartCount"] for name in ("spent", "well", "stopped", "kept")}
    assert counts == {"spent": 1, "well": 0, "stopped": 0, "kept": 3}
    ends = {
        name: (daemon.inspect(name)["State"]["Status"], daemon.inspect(name)["State"]["ExitCode"]) for name in counts
    }
    assert ends == {"spent": ("exited", 1), "well": ("exited", 0), "stopped": ("exited", 137), "kept": ("exited", 4)}


def test_execs_end_for_their_clients_though_the_daemon_was_killed(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "host", IMAGE, "sleep", "300")
    client = subprocess.Popen(
        daemon.docker_command("exec", "host", "sh", "-c", "echo begun; sleep 1; echo done"), stdout=subprocess.PIPE
    )
    assert client.stdout is not None
    assert client.stdout.readline() == b"begun\n"

    daemon.restart()

    assert client.stdout.read() == b"done\n"
    client.wait(10)
    assert daemon.out("exec", "host", "echo", "new") == "new"


def test_a_killed_spawner_is_replaced_and_nobody_notices(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "lives", IMAGE, "sleep", "300")
    pid, spawner = daemon.pid_of("lives"), daemon.spawner_pid

    for _ in range(2):
        os.kill(daemon.spawner_pid, signal.SIGKILL)
        began = time.monotonic()
        assert daemon.out("run", "--rm", IMAGE, "echo", "at once") == "at once"
        assert time.monotonic() - began < 5

    assert daemon.pid_of("lives") == pid
    assert daemon.spawner_pid != spawner
    assert daemon.out("exec", "lives", "echo", "yes") == "yes"


def test_starts_under_way_survive_the_spawners_death(daemon: Any) -> None:
    clients = [
        subprocess.Popen(daemon.docker_command("run", "--rm", IMAGE, "true"), stderr=subprocess.PIPE) for _ in range(8)
    ]
    time.sleep(0.15)
    os.kill(daemon.spawner_pid, signal.SIGKILL)

    codes = [client.wait(20) for client in clients]

    errors = [client.stderr.read() for client in clients if client.stderr]
    assert codes == [0] * 8, errors


def test_a_killed_shim_is_told_and_its_container_cleaned_up(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "orphan", "-p", "8190:80", IMAGE, "sh", "-c", "sleep 300 & sleep 300")
    daemon.out("run", "-d", "--name", "other", IMAGE, "sleep", "300")
    pid = daemon.pid_of("orphan")

    os.kill(daemon.shim_of("orphan"), signal.SIGKILL)

    eventually(lambda: daemon.inspect("orphan")["State"]["Status"] == "exited")
    state = daemon.inspect("orphan")["State"]
    assert (state["ExitCode"], state["Pid"], state["Running"]) == (137, 0, False)
    assert "shim" in state["Error"]
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    assert daemon.inspect("other")["State"]["Running"]
    daemon.out("start", "orphan")
    assert daemon.inspect("orphan")["State"]["Error"] == ""


def test_a_shim_killed_while_the_daemon_is_dead(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "both", "-p", "8191:80", IMAGE, "sleep", "300")
    pid, shim = daemon.pid_of("both"), daemon.shim_of("both")

    daemon.kill()
    os.kill(shim, signal.SIGKILL)
    daemon.start()

    state = daemon.inspect("both")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    assert "shim" in state["Error"]
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    daemon.out("start", "both")


@pytest.mark.parametrize("policy", ["no", "always"])
def test_a_killed_init_is_137(daemon: Any, policy: str) -> None:
    daemon.out("run", "-d", "--name", "init", "--restart", policy, IMAGE, "sh", "-c", "sleep 300 & sleep 300")
    pid = daemon.pid_of("init")

    os.kill(pid, signal.SIGKILL)

    if policy == "no":
        eventually(lambda: daemon.inspect("init")["State"]["Status"] == "exited")
        assert daemon.inspect("init")["State"]["ExitCode"] == 137
    else:
        eventually(lambda: daemon.pid_of("init") not in (0, pid))


def test_a_paused_container_is_still_paused_for_the_next_daemon(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "ice", IMAGE, "sleep", "300")
    daemon.out("pause", "ice")

    daemon.restart()

    assert daemon.inspect("ice")["State"]["Status"] == "paused"
    daemon.out("unpause", "ice")
    assert daemon.out("exec", "ice", "echo", "thawed") == "thawed"


def test_logs_and_events_of_two_daemons_join(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "talks", IMAGE, "sh", "-c", COUNTER)
    daemon.restart()
    follower = subprocess.Popen(
        daemon.docker_command("logs", "-f", "--tail", "3", "talks"), stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    lines = [int(follower.stdout.readline()) for _ in range(8)]
    daemon.out("rm", "-f", "talks")

    assert lines == list(range(lines[0], lines[0] + 8))
    assert follower.wait(10) == 0
    assert json.loads(daemon.api("GET", "/info")[1])["Containers"] == 0


def test_nothing_of_a_container_is_named_in_the_hosts_mounts(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "hidden", "-v", "/data", "--tmpfs", "/t", IMAGE, "sleep", "300")

    assert daemon.mounts() == []
    assert not [
        line
        for line in Path("/proc/self/mountinfo").read_text().splitlines()
        if "overlay" in line and str(daemon.root) in line
    ]
