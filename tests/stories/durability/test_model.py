# SPDX-License-Identifier: Apache-2.0
"""Overlapping calls on the same few names, against the model of what may become of them; with and without a daemon killed amid them.

`HOLDFAST_MODEL_EXAMPLES=400` runs it for as long as one likes, with other sequences each time.
"""

from __future__ import annotations

import json
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from container_model import ALIVE, Call, World, explain, of_listing, shown
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

IMAGE = "story:1"
NAMES = ("ma", "mb")
PATIENCE = 20.0
RESTART_SECONDS = 15.0
EXAMPLES = int(os.environ.get("HOLDFAST_MODEL_EXAMPLES", "10"))
WISH = {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"Binds": ["/data"], "NetworkMode": "none"}}
PATHS = {
    "start": ("POST", "/containers/{}/start"),
    "stop": ("POST", "/containers/{}/stop?t=0"),
    "kill": ("POST", "/containers/{}/kill"),
    "restart": ("POST", "/containers/{}/restart?t=0"),
    "pause": ("POST", "/containers/{}/pause"),
    "unpause": ("POST", "/containers/{}/unpause"),
    "rename": ("POST", "/containers/{}/rename?name={}"),
    "rm": ("DELETE", "/containers/{}?v=1"),
    "rm -f": ("DELETE", "/containers/{}?v=1&force=1"),
}
LIKELY = (
    "create",
    "start",
    "start",
    "stop",
    "kill",
    "restart",
    "pause",
    "unpause",
    "rename",
    "update",
    "exec",
    "rm",
    "rm -f",
)


def perform(daemon: Any, call: Call) -> Call:
    """The call with its answer; without one when the daemon goes away meanwhile."""
    try:
        if call.verb == "create":
            status, body = daemon.api("POST", f"/containers/create?name={call.name}", WISH)
            made = json.loads(body)["Id"] if status == 201 else ""
            return call._replace(answer=status, identity=made)
        if call.verb == "update":
            return call._replace(answer=daemon.api("POST", f"/containers/{call.name}/update", {"CpuShares": 512})[0])
        if call.verb == "exec":
            status, body = daemon.api("POST", f"/containers/{call.name}/exec", {"Cmd": ["true"]})
            if status == 201:
                status, body = daemon.api("POST", f"/exec/{json.loads(body)['Id']}/start", {"Detach": True})
            return call._replace(answer=status)
        method, path = PATHS[call.verb]
        return call._replace(answer=daemon.api(method, path.format(call.name, call.other), timeout=PATIENCE * 2)[0])
    except (OSError, ValueError):
        return call


def observed(daemon: Any) -> World:
    """What the daemon lists now."""
    entries = json.loads(daemon.api("GET", "/containers/json?all=1")[1])
    return of_listing((each["Id"], each["Names"][0].lstrip("/"), each["State"]) for each in entries)


class Storms(RuleBasedStateMachine):
    """Batches of calls, each batch all at once."""

    daemon: Any
    wrong: list[str]
    """What was wrong, and the calls before it: races do not come back when Hypothesis repeats them, so it is not told."""

    calls = st.lists(
        st.builds(
            lambda verb, name: Call(verb, name, NAMES[1 - NAMES.index(name)]),
            st.sampled_from(LIKELY),
            st.sampled_from(NAMES),
        ),
        min_size=1,
        max_size=5,
    )

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.story: list[str] = []

    @initialize(running=st.booleans())
    def begin(self, running: bool) -> None:
        self.batch([Call("create", NAMES[0])])
        if running:
            self.batch([Call("start", NAMES[0])])

    @rule(calls=calls)
    def batch(self, calls: list[Call]) -> None:
        if self.wrong:
            return
        began = time.monotonic()
        with ThreadPoolExecutor(len(calls)) as pool:
            answered = list(pool.map(lambda call: perform(self.daemon, call), calls))
        self.story.append(f"{time.monotonic() - began:.2f} s: {answered}")
        if time.monotonic() - began > PATIENCE or any(call.answer is None for call in answered):
            self.fail("this took too long, or was not answered")
        self.settle(answered, 0.0)

    def settle(self, answered: list[Call], patience: float) -> None:
        """The world must be one of those that the calls may have led to."""
        known = frozenset({identity for identity, _ in self.world.boxes} | {call.identity for call in answered})
        allowed = {shown(each, known) for each in explain(self.world, numbered(answered))}
        deadline = time.monotonic() + patience
        while (seen := shown(now := observed(self.daemon), known)) not in allowed and time.monotonic() < deadline:
            time.sleep(0.05)
        if not allowed:
            self.fail(f"no order of the steps gives these answers, from {self.world}")
        elif seen not in allowed:
            self.fail(f"{self.world} became {seen} and not one of {allowed}")
        self.world = now
        for identity, box in now.boxes:
            state = json.loads(self.daemon.api("GET", f"/containers/{identity}/json")[1])["State"]
            lives = state["Pid"] > 0 and os.path.exists(f"/proc/{state['Pid']}")
            if lives != (box.status in ALIVE):
                self.fail(f"{identity} is said to be {state}")

    def fail(self, what: str) -> None:
        self.wrong.append("\n".join([what, *self.story, self.daemon.tail()]))

    def teardown(self) -> None:
        self.daemon.remove_all()
        left, traces = self.daemon.leftovers(), self.daemon.tracebacks()
        if (left or traces) and not self.wrong:
            self.fail(f"left over: {left}, {traces}")


class Crashes(Storms):
    """The same with a daemon that is killed and started again."""

    @rule(calls=Storms.calls, delay=st.floats(0.0, 0.08))
    def crash(self, calls: list[Call], delay: float) -> None:
        if self.wrong:
            return
        with ThreadPoolExecutor(len(calls)) as pool:
            pending = [pool.submit(perform, self.daemon, call) for call in calls]
            time.sleep(delay)
            self.daemon.kill()
            answered = [each.result() for each in pending]
        seconds = self.daemon.start()
        self.story.append(f"killed after {delay:.4f} s, again there after {seconds:.2f} s: {answered}")
        if seconds > RESTART_SECONDS:
            self.fail("the daemon took too long to come back")
        self.settle(answered, 5.0)


def numbered(calls: list[Call]) -> list[Call]:
    """Creations that nobody was told of get an id that no container has."""
    return [call if call.identity else call._replace(identity=f"? {number}") for number, call in enumerate(calls)]


@pytest.mark.parametrize("machine", [Storms, Crashes])
def test_overlapping_calls_end_as_the_model_says(daemon: Any, machine: type[Storms]) -> None:
    fds = daemon.fds() if machine is Storms else {}
    profile = settings(
        max_examples=EXAMPLES if machine is Storms else max(1, EXAMPLES // 2),
        stateful_step_count=8,
        deadline=None,
        database=None,
        derandomize="HOLDFAST_MODEL_EXAMPLES" not in os.environ,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )

    wrong: list[str] = []
    run_state_machine_as_test(type(machine.__name__, (machine,), {"daemon": daemon, "wrong": wrong}), settings=profile)

    assert not wrong, wrong[0]
    if fds:
        time.sleep(0.2)
        assert {name: count for name, count in daemon.fds().items() if count > fds[name] + 2} == {}
