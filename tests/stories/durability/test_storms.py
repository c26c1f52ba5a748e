# SPDX-License-Identifier: Apache-2.0
"""Many requests for the same names at once, and a daemon that is killed at random moments amid them."""

from __future__ import annotations

import contextlib
import json
import os
import random
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

IMAGE = "story:1"
PATIENCE = 15.0


def test_of_many_creations_of_one_name_one_wins(daemon: Any) -> None:
    with ThreadPoolExecutor(24) as pool:
        answers = list(
            pool.map(
                lambda _: daemon.api("POST", "/containers/create?name=one", {"Image": IMAGE, "Cmd": ["true"]}),
                range(24),
            )
        )

    assert sorted(status for status, _ in answers) == [201] + [409] * 23
    winner = next(json.loads(body)["Id"] for status, body in answers if status == 201)
    for status, body in answers:
        if status == 409:
            assert (
                f'Conflict. The container name "/one" is already in use by container "{winner}"'
                in json.loads(body)["message"]
            )
    assert daemon.containers() == [winner]


def test_a_storm_of_verbs_on_the_same_names_wedges_nothing(daemon: Any) -> None:
    dice = random.Random(7)
    names = ["sa", "sb", "sc"]
    verbs = [
        ("POST", "/containers/create?name={}", {"Image": IMAGE, "Cmd": ["sleep", "60"]}),
        ("POST", "/containers/{}/start", None),
        ("POST", "/containers/{}/start", None),
        ("POST", "/containers/{}/stop?t=0", None),
        ("POST", "/containers/{}/kill", None),
        ("POST", "/containers/{}/restart?t=0", None),
        ("POST", "/containers/{}/pause", None),
        ("POST", "/containers/{}/unpause", None),
        ("POST", "/containers/{}/rename?name={}", None),
        ("DELETE", "/containers/{}?force=1", None),
        ("GET", "/containers/{}/json", None),
        ("GET", "/containers/{}/top", None),
    ]
    calls = [(dice.choice(verbs), dice.choice(names), dice.choice(names)) for _ in range(360)]
    slow: list[tuple[str, float]] = []
    wrong: list[tuple[str, int, bytes]] = []

    def call(job: tuple[Any, str, str]) -> None:
        (method, path, body), name, other = job
        target = path.format(name, other)
        began = time.monotonic()
        status, answer = daemon.api(method, target, body, timeout=60)
        if time.monotonic() - began > PATIENCE:
            slow.append((target, time.monotonic() - began))
        if status == 500:
            wrong.append((target, status, answer))

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(call, calls))

    assert slow == []
    assert wrong == []
    assert daemon.api("GET", "/_ping")[0] == 200
    assert daemon.tracebacks() == ""
    assert daemon.out("run", "--rm", IMAGE, "echo", "healthy") == "healthy"


MASS_NAMES = ("ma", "mb", "mc")
MASS_SECONDS = float(os.environ.get("HOLDFAST_STORM_SECONDS", "20"))
MASS_WISH = {
    "Image": IMAGE, "Cmd": ["sleep", "60"],
    "HostConfig": {"Binds": ["/data"], "PortBindings": {"80/tcp": [{"HostPort": "0"}]}},
    "ExposedPorts": {"80/tcp": {}},
}  # fmt: skip
MASS_CALLS = (
    ("POST", "/containers/create?name={0}", MASS_WISH),
    ("POST", "/containers/create?name={0}", {**MASS_WISH, "Cmd": ["sh", "-c", "exit 3"], "HostConfig": {"AutoRemove": True}}),
    ("POST", "/containers/{0}/start", None),
    ("POST", "/containers/{0}/start", None),
    ("POST", "/containers/{0}/stop?t=0", None),
    ("POST", "/containers/{0}/kill", None),
    ("POST", "/containers/{0}/restart?t=0", None),
    ("POST", "/containers/{0}/pause", None),
    ("POST", "/containers/{0}/unpause", None),
    ("POST", "/containers/{0}/rename?name={1}", None),
    ("POST", "/containers/{0}/update", {"CpuShares": 512}),
    ("POST", "/containers/{0}/exec", {"Cmd": ["true"]}),
    ("DELETE", "/containers/{0}?force=1&v=1", None),
    ("DELETE", "/containers/{0}?v=1", None),
    ("GET", "/containers/{0}/json", None),
    ("GET", "/containers/json?all=1", None),
    ("GET", "/containers/{0}/stats?stream=0&one-shot=1", None),
    ("HEAD", "/containers/{0}/archive?path=/etc/passwd", None),
)  # fmt: skip


def test_a_mass_storm_on_three_names_ends_as_quiet_as_it_began(daemon: Any) -> None:
    daemon.out("run", "--rm", IMAGE, "true")
    fds = daemon.fds()
    stop = time.monotonic() + MASS_SECONDS
    wrong: list[str] = []

    def rage(seed: int) -> int:
        dice, done = random.Random(seed), 0
        while time.monotonic() < stop and not wrong:
            method, path, body = dice.choice(MASS_CALLS)
            target = path.format(dice.choice(MASS_NAMES), dice.choice(MASS_NAMES))
            began = time.monotonic()
            status, answer = daemon.api(method, target, body, timeout=60)
            if status == 201 and target.endswith("/exec"):
                status, answer = daemon.api("POST", f"/exec/{json.loads(answer)['Id']}/start", {"Detach": True})
            if status >= 500 or time.monotonic() - began > PATIENCE:
                wrong.append(f"{method} {target}: {status} after {time.monotonic() - began:.1f} s: {answer!r}")
            done += 1
        return done

    with ThreadPoolExecutor(24) as pool:
        done = sum(pool.map(rage, range(24)))

    assert wrong == []
    assert daemon.tracebacks() == ""
    assert done > 24
    daemon.remove_all()
    assert daemon.leftovers() == {}, daemon.tail()
    time.sleep(0.5)
    assert {name: count for name, count in daemon.fds().items() if count > fds[name] + 4} == {}
    assert daemon.out("run", "--rm", IMAGE, "echo", "healthy") == "healthy"


def _storm(daemon: Any, dice: random.Random, stop: threading.Event, archive: str) -> None:
    """What a busy user does, until the daemon goes away."""
    names = [f"n-{number}" for number in range(6)]
    while not stop.is_set():
        name = dice.choice(names)
        verb = dice.randrange(9)
        with contextlib.suppress(OSError, subprocess.TimeoutExpired, ValueError):
            if verb <= 1:
                wish = {
                    "Image": IMAGE, "Cmd": ["sleep", "300"],
                    "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "0"}]}, "Binds": ["/data"]},
                    "ExposedPorts": {"80/tcp": {}},
                }  # fmt: skip
                daemon.api("POST", f"/containers/create?name={name}", wish)
            elif verb <= 3:
                daemon.api("POST", f"/containers/{name}/start")
            elif verb == 4:
                daemon.api("POST", f"/containers/{name}/stop?t=0")
            elif verb == 5:
                daemon.api("DELETE", f"/containers/{name}?force=1&v=1")
            elif verb == 6:
                daemon.docker("run", "--rm", IMAGE, "true", timeout=20)
            elif verb == 7:
                daemon.docker("import", archive, "extra:1", timeout=20)
            else:
                daemon.docker("rmi", "extra:1", timeout=20)


@pytest.mark.parametrize("seed", range(5))
def test_a_daemon_killed_amid_a_storm_keeps_its_word(daemon: Any, rootfs_tar: Any, seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(4):
        stop = threading.Event()
        workers = [
            threading.Thread(target=_storm, args=(daemon, random.Random(dice.random()), stop, str(rootfs_tar)))
            for _ in range(4)
        ]
        for worker in workers:
            worker.start()
        time.sleep(0.1 + dice.random() * 0.7)
        daemon.kill()
        stop.set()
        for worker in workers:
            worker.join()
        daemon.start()

        for container_id in daemon.containers():
            status, body = daemon.api("GET", f"/containers/{container_id}/json")
            shown = json.loads(body)
            if status == 404 or not shown["Name"].startswith("/n-"):
                continue  # a --rm container on its way out
            assert status == 200
            assert shown["State"]["Status"] in ("created", "running", "exited", "removing"), shown["State"]
            if shown["State"]["Running"]:
                assert daemon.out("exec", container_id, "echo", "alive") == "alive"
        assert daemon.docker("ps", "-a").returncode == 0
        assert {"story:1"} <= set(daemon.out("images", "--format", "{{.Repository}}:{{.Tag}}").split())
        daemon.remove_all()
        daemon.docker("rmi", "extra:1")
        daemon.out("volume", "prune", "-af")  # data is never deleted unasked, not even a volume that lost its container
        assert daemon.leftovers() == {}, daemon.tail()
        assert daemon.out("run", "--rm", IMAGE, "echo", "on") == "on"
    assert daemon.tracebacks() == ""
