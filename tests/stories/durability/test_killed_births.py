# SPDX-License-Identifier: Apache-2.0
"""kill -9 of each process that has a part in a container's start, at its steps: the spawner, the shim, its maker, the init.

The start answers in time, whatever it says; then the container is what `inspect` says, can be started and removed, and
nothing is left of it. `HOLDFAST_KILL_STEPS=12` tries more of each.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from steps import killing

IMAGE = "story:1"
DEEPEST = int(os.environ.get("HOLDFAST_KILL_STEPS", "1"))
CALLS = {
    "spawner": "clone recvmsg sendmsg",
    "shim": "openat socketpair sendmsg bind epoll_ctl pidfd_open",
    "maker": "openat mkdir mount_setattr clone exit_group",
    "init": "openat2 move_mount pivot_root sethostname close_range execve",
}
WISH = {
    "Image": IMAGE,
    "Cmd": ["sleep", "300"],
    "HostConfig": {"Binds": ["/data"]},
}
PATIENCE_SECONDS = 15.0


def children(pid: int, name: str) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found if Path(f"/proc/{each}/comm").read_text().strip() == name]


def victims(daemon: Any, role: str) -> list[int]:
    """Who will do this part of the next start."""
    spawner = daemon.spawner_pid
    if role == "spawner":
        return [spawner]
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        spares = children(spawner, "hold-spare")
        makers = [maker for spare in spares for maker in children(spare, "hold-spare")]
        if len(spares) == len(makers) == 2:
            return spares if role == "shim" else makers
        time.sleep(0.02)
    raise AssertionError("no spare shims")


def ask(daemon: Any, method: str, path: str, body: Any = None) -> int:
    began = time.monotonic()
    code = daemon.api(method, path, body, timeout=60)[0]
    assert time.monotonic() - began < PATIENCE_SECONDS, (method, path)
    return code


def state(daemon: Any) -> dict[str, Any]:
    return json.loads(daemon.api("GET", "/containers/born/json")[1])["State"]


def eventually_settled(daemon: Any) -> str:
    """The status, once it agrees with the kernel."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = state(daemon)
        if (found["Status"] == "running") == (found["Pid"] > 0 and Path(f"/proc/{found['Pid']}").exists()):
            return found["Status"]
        time.sleep(0.05)
    raise AssertionError(state(daemon))


@pytest.mark.parametrize(("role", "call"), [(role, call) for role, calls in CALLS.items() for call in calls.split()])
def test_a_start_whose_makers_die_is_over_soon_and_leaves_nothing(daemon: Any, role: str, call: str) -> None:
    for number in range(1, DEEPEST + 1):
        assert ask(daemon, "POST", "/containers/create?name=born", WISH) == 201

        with killing(victims(daemon, role), call, number, with_children=role == "init"):
            code = ask(daemon, "POST", "/containers/born/start")

        assert code in (204, 400, 404, 500, 503), (role, call, number)
        status = eventually_settled(daemon)
        assert status in (("running", "exited") if code == 204 else ("created", "exited")), (role, call, number, code)
        assert ask(daemon, "POST", "/containers/born/start") == (304 if status == "running" else 204), daemon.tail()
        assert eventually_settled(daemon) == "running"
        assert ask(daemon, "DELETE", "/containers/born?v=1&force=1") == 204
        assert daemon.leftovers() == {}, (role, call, number, daemon.tail())
        assert daemon.tracebacks() == ""
