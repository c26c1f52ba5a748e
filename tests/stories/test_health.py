# SPDX-License-Identifier: Apache-2.0
"""What a container's label wants done when its health check fails; restart policies' patience on the kernel's clock."""

import json
import time
from collections.abc import Callable
from typing import Any

IMAGE = "story:1"
ACTION = "holdfast.health-on-failure"


def eventually(is_true: Callable[[], bool], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def checked(daemon: Any, name: str, action: str, *more: str) -> None:
    daemon.out("run", "-d", "--name", name, "--label", f"{ACTION}={action}", "--health-cmd", "[ -e /well ]", "--health-interval",
               "100ms", "--health-retries", "2", *more, IMAGE, "sh", "-c", "sleep 300")  # fmt: skip


def test_an_unhealthy_container_is_restarted_when_its_label_says_so(daemon: Any) -> None:
    checked(daemon, "sick", "restart", "--stop-timeout", "0")
    first = daemon.inspect("sick")["State"]["StartedAt"]

    eventually(lambda: daemon.inspect("sick")["State"]["StartedAt"] != first)

    # it may be on its way down again
    eventually(lambda: daemon.docker("exec", "sick", "sh", "-c", ": > /well").returncode == 0)
    eventually(lambda: daemon.inspect("sick")["State"]["Health"]["Status"] == "healthy")
    assert json.loads(daemon.out("info", "--format", "{{json .NEventsListener}}")) == 0
    daemon.out("rm", "-f", "sick")


def test_or_stopped_for_good(daemon: Any) -> None:
    checked(daemon, "given-up", "stop", "--stop-timeout", "0", "--restart", "always")

    eventually(lambda: daemon.inspect("given-up")["State"]["Status"] == "exited")

    assert daemon.inspect("given-up")["State"]["Health"]["Status"] == "unhealthy"
    daemon.out("rm", "-f", "given-up")


def test_no_label_changes_nothing_and_a_wrong_one_is_refused(daemon: Any) -> None:
    checked(daemon, "left-alone", "none")
    started = daemon.inspect("left-alone")["State"]["StartedAt"]

    eventually(lambda: daemon.inspect("left-alone")["State"]["Health"]["Status"] == "unhealthy")

    assert daemon.inspect("left-alone")["State"]["StartedAt"] == started
    daemon.out("rm", "-f", "left-alone")
    refused = daemon.docker("create", "--label", f"{ACTION}=explode", IMAGE).stderr
    assert "use one of none, restart, stop" in refused


def test_restarts_become_slower_and_a_daemon_that_starts_anew_goes_on(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "fails", "--restart", "always", IMAGE, "sh", "-c", "exit 1")
    counts: list[int] = []
    for _ in range(2):
        before = daemon.inspect("fails")["RestartCount"]
        time.sleep(1.5)
        counts.append(daemon.inspect("fails")["RestartCount"] - before)

    assert counts[0] > counts[1] >= 0
    assert daemon.inspect("fails")["State"]["Restarting"]
    daemon.end()
    daemon.start()
    eventually(lambda: daemon.inspect("fails")["RestartCount"] > 0)
    daemon.out("rm", "-f", "fails")


def test_a_new_daemon_looks_soon_and_believes_the_last_one_until_then(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "kept", "--health-cmd", "[ ! -e /ill ]", "--health-interval", "60s", "--health-retries", "5",
               "--health-start-period", "60s", "--health-start-interval", "100ms", IMAGE, "sleep", "300")  # fmt: skip
    eventually(lambda: daemon.inspect("kept")["State"]["Health"]["Status"] == "healthy")
    daemon.out("exec", "kept", "sh", "-c", ": > /ill")

    daemon.end()
    daemon.start()

    assert daemon.inspect("kept")["State"]["Health"]["Status"] == "healthy"
    eventually(lambda: daemon.inspect("kept")["State"]["Health"]["FailingStreak"] == 1)
    daemon.out("rm", "-f", "kept")


def test_the_start_period_does_not_begin_again_with_a_new_daemon(daemon: Any) -> None:
    daemon.out("run", "-d", "--name", "slow", "--health-cmd", "false", "--health-interval", "200ms", "--health-retries", "1",
               "--health-start-period", "8s", IMAGE, "sleep", "300")  # fmt: skip
    daemon.end()
    time.sleep(8)
    daemon.start()

    eventually(lambda: daemon.inspect("slow")["State"]["Health"]["Status"] == "unhealthy", 7.5)
    daemon.out("rm", "-f", "slow")
