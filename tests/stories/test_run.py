# SPDX-License-Identifier: Apache-2.0
"""The story of run, from outside: the unmodified docker CLI against a real holdfastd and real containers."""

from __future__ import annotations

import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

IMAGE = "story:1"


def eventually(claim: Any, seconds: float = 10.0) -> None:
    """Waits until the claim holds, and fails with its value when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value, value


@pytest.mark.parametrize(
    ("command", "code", "text"),
    [
        (["sh", "-c", "exit 7"], 7, ""),
        (["sh", "-c", "kill -9 $$; exit 3"], 3, ""),
        (["nosuch"], 127, 'exec: "nosuch": executable file not found in $PATH'),
        (["/etc"], 126, 'exec: "/etc": is a directory: permission denied'),
        (["/nope"], 127, 'exec: "/nope": stat /nope: no such file or directory'),
        (["/etc/passwd"], 126, 'exec: "/etc/passwd": permission denied'),
    ],
)
def test_the_exit_code_is_the_commands_own_or_says_why(daemon: Any, command: list[str], code: int, text: str) -> None:
    done = daemon.docker("run", "--rm", IMAGE, *command)

    assert (done.returncode, text in done.stderr) == (code, True), done.stderr


def test_streams_stay_apart_and_stdin_is_closed(daemon: Any) -> None:
    done = daemon.docker("run", "--rm", "-i", IMAGE, "sh", "-c", "cat; echo err >&2", stdin="in\n")

    assert (done.stdout, done.stderr) == ("in\n", "err\n")


def test_options_are_seen_from_inside(daemon: Any) -> None:
    said = daemon.out(
        "run", "--rm", "-h", "inner", "-w", "/tmp", "-e", "A=b", "-u", "app", "-m", "64m", "--tmpfs", "/t", IMAGE,
        "sh", "-c", "hostname; pwd; echo $A; id -u; id -g; grep -c ' /t tmpfs' /proc/mounts; "
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max",
    )  # fmt: skip

    assert said.split("\n") == ["inner", "/tmp", "b", "7", "8", "1", str(64 << 20)]


def test_a_container_lives_through_its_verbs(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "verbs", IMAGE, "sh", "-c", "echo begun; while :; do sleep 1; done")

    assert daemon.out("exec", "verbs", "echo", "inside") == "inside"
    assert daemon.docker("exec", "verbs", "sh", "-c", "exit 5").returncode == 5
    assert "no such file" in daemon.docker("exec", "verbs", "/nope").stdout.lower()
    daemon.out("pause", "verbs")
    assert daemon.inspect("verbs")["State"]["Status"] == "paused"
    daemon.out("unpause", "verbs")
    daemon.out("rename", "verbs", "verbs2")
    assert "sleep" in daemon.out("top", "verbs2")
    assert daemon.docker("rm", "verbs2").returncode == 1
    daemon.out("stop", "-t", "0", "verbs2")
    state = daemon.inspect("verbs2")["State"]
    assert (state["Status"], state["ExitCode"], state["Pid"]) == ("exited", 137, 0)
    assert daemon.out("logs", "verbs2") == "begun"
    daemon.out("start", "verbs2")
    daemon.out("restart", "-t", "0", "verbs2")
    assert daemon.out("ps", "-q", "--filter", "name=verbs2")
    daemon.out("rm", "-f", "verbs2")
    assert "No such container: verbs2" in daemon.docker("start", "verbs2").stderr


def test_an_anonymous_volume_takes_the_images_content_and_goes_with_rm(daemon: Any) -> None:
    said = daemon.out("run", "--rm", "-v", "/etc", IMAGE, "cat", "/etc/passwd")

    assert said.startswith("root:x:0:0")
    eventually(lambda: daemon.out("volume", "ls", "-q") == "" or "")
    assert daemon.out("volume", "ls", "-q") == ""


def test_a_name_is_free_as_soon_as_rm_answers(daemon: Any) -> None:
    for _ in range(5):
        daemon.out("run", "-d", "--name", "again", IMAGE, "sleep", "60")
        daemon.out("rm", "-f", "again")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-u", "nobody"], "unable to find user nobody: no matching entries in passwd file"),
        (["--network", "nonet"], "network nonet not found"),
        (["--device", "/nodevice"], "error gathering device information"),
        (["--memory", "3m"], "Minimum memory limit allowed is 6MB"),
        (["-v", "/x:/proc/1"], "inside /proc"),
        (["--entrypoint", "/nope"], "no such file or directory"),
        (["--runtime", "nope"], "unknown or invalid runtime name: nope"),
    ],
)
def test_a_start_that_fails_says_why_and_leaves_nothing(daemon: Any, words: list[str], text: str) -> None:
    done = daemon.docker("run", "--rm", *words, IMAGE, "true")

    assert done.returncode in (125, 126, 127)
    assert text in done.stderr
    eventually(lambda: daemon.out("ps", "-aq") == "")
    eventually(lambda: not any(daemon.leftovers().values()))


def test_many_starts_at_once_leave_nothing(daemon: Any) -> None:
    with ThreadPoolExecutor(8) as pool:
        codes = list(
            pool.map(lambda n: daemon.docker("run", "--rm", IMAGE, "sh", "-c", f"exit {n}").returncode, range(16))
        )

    assert codes == list(range(16))
    eventually(lambda: not any(daemon.leftovers().values()))


def test_containers_outlive_a_killed_daemon(daemon: Any) -> None:
    for number in range(3):
        daemon.out("run", "-d", "--name", f"live{number}", IMAGE, "sleep", "300")
    daemon.out("run", "-d", "--name", "ends", IMAGE, "sh", "-c", "sleep 1; echo last; exit 9")
    daemon.out("run", "-d", "--rm", "--name", "vanishes", IMAGE, "sleep", "1")
    daemon.out("run", "-d", "--name", "comes-back", "--restart", "always", IMAGE, "sh", "-c", "sleep 0.3")
    pids = [daemon.inspect(f"live{number}")["State"]["Pid"] for number in range(3)]

    daemon.end(signal.SIGKILL)
    time.sleep(1.5)
    daemon.start()

    assert [daemon.inspect(f"live{number}")["State"]["Pid"] for number in range(3)] == pids
    assert daemon.out("exec", "live0", "echo", "still") == "still"
    state = daemon.inspect("ends")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 9)
    assert daemon.out("logs", "ends") == "last"
    assert "No such" in daemon.docker("inspect", "vanishes").stderr
    eventually(lambda: daemon.inspect("comes-back")["State"]["Running"])
    daemon.out("rm", "-f", "live0", "live1", "live2", "ends", "comes-back")
    eventually(lambda: not any(daemon.leftovers().values()))


def test_a_killed_shim_is_reported_and_cleaned_up(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "orphan", IMAGE, "sleep", "300")
    pid = daemon.inspect("orphan")["State"]["Pid"]
    status = subprocess.run(["cat", f"/proc/{pid}/status"], capture_output=True, text=True, check=True).stdout
    shim = int(next(line for line in status.splitlines() if line.startswith("PPid:")).split()[1])

    subprocess.run(["kill", "-9", str(shim)], check=True)

    eventually(lambda: daemon.inspect("orphan")["State"]["Status"] == "exited")
    assert daemon.inspect("orphan")["State"]["ExitCode"] == 137
    eventually(lambda: subprocess.run(["kill", "-0", str(pid)], capture_output=True, check=False).returncode != 0)
    daemon.out("rm", "orphan")
    eventually(lambda: not any(daemon.leftovers().values()))


def test_a_storm_on_one_name_never_wedges(daemon: Any) -> None:
    def act(number: int) -> None:
        verb = (("run", "-d", "--name", "storm", IMAGE, "sleep", "60"), ("start", "storm"), ("stop", "-t", "0", "storm"),
                ("kill", "storm"), ("rm", "-f", "storm"), ("restart", "-t", "0", "storm"))[number % 6]  # fmt: skip
        daemon.docker(*verb)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(48)))

    daemon.docker("rm", "-f", "storm")
    assert "No such container" in daemon.docker("start", "storm").stderr
    eventually(lambda: not any(daemon.leftovers().values()))
