# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the daemon at each of its persisted steps, for create, start, stop and rm.

Afterwards the operation has happened or it has not, the next daemon can go on with it, and nothing dangles. The steps are
the system calls that make a change last: the k-th of a kind from the moment of the request on.
`HOLDFAST_KILL_STEPS=12` tries more of each.
"""

from __future__ import annotations

import json
import os
import time
from typing import Any

import pytest
from steps import killing

IMAGE = "story:1"
DEEPEST = int(os.environ.get("HOLDFAST_KILL_STEPS", "1"))
CALLS = {
    "create": "fdatasync mkdir rename",
    "start": "pwrite64 rename sendmsg",
    "stop": "pwrite64 sendmsg",
    "rm": "fdatasync rename rmdir",
    "rm -f": "fdatasync sendmsg",
}
WISH = {
    "Image": IMAGE,
    "Cmd": ["sleep", "300"],
    "ExposedPorts": {"80/tcp": {}},
    "HostConfig": {"Binds": ["/data"], "PortBindings": {"80/tcp": [{"HostPort": "0"}]}},
}
STEPS = {
    "create": [],
    "start": ["create"],
    "stop": ["create", "start"],
    "rm": ["create"],
    "rm -f": ["create", "start"],
}
ALLOWED = {
    "create": {"created", "gone"},
    "start": {"created", "running", "exited"},
    "stop": {"running", "exited"},
    "rm": {"created", "gone", "dead"},
    "rm -f": {"running", "exited", "gone", "dead"},
}
REQUESTS = {
    "create": ("POST", "/containers/create?name=kk", WISH),
    "start": ("POST", "/containers/kk/start", None),
    "stop": ("POST", "/containers/kk/stop?t=0", None),
    "rm": ("DELETE", "/containers/kk?v=1", None),
    "rm -f": ("DELETE", "/containers/kk?v=1&force=1", None),
}


def request(daemon: Any, what: str) -> tuple[int, bytes] | None:
    method, path, body = REQUESTS[what]
    try:
        return daemon.api(method, path, body, timeout=30)
    except OSError:
        return None


def must(daemon: Any, what: str) -> None:
    answer = request(daemon, what)
    assert answer is not None
    assert answer[0] in (201, 204, 404), (what, answer, daemon.tail())


def status(daemon: Any) -> str:
    code, body = daemon.api("GET", "/containers/kk/json")
    return json.loads(body)["State"]["Status"] if code == 200 else "gone"


@pytest.mark.parametrize(("what", "call"), [(what, call) for what, calls in CALLS.items() for call in calls.split()])
def test_a_daemon_killed_at_a_step_has_done_it_or_not(daemon: Any, what: str, call: str) -> None:
    for number in range(1, DEEPEST + 1):
        for before in STEPS[what]:
            must(daemon, before)

        with killing([daemon.pid], call, number):
            answer = request(daemon, what)
        is_dead = answer is None
        if is_dead or daemon.process.poll() is not None:
            daemon.process.wait(10)
            daemon.start()

        assert answer is None or answer[0] in (201, 204), (what, call, number, answer)
        deadline = time.monotonic() + 20
        while (found := status(daemon)) not in ALLOWED[what] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found in ALLOWED[what], (what, call, number)
        if found != "gone":  # whatever it is, it can be gone on with
            if found == "created":
                must(daemon, "start")
            must(daemon, "rm -f")
        assert daemon.leftovers() == {}, (what, call, number, daemon.tail())
        if not is_dead:
            break  # it has fewer steps than that
    assert daemon.tracebacks() == ""
