# SPDX-License-Identifier: Apache-2.0
"""What sixty containers cost that do nothing: processor time of daemon, spawner and shims, and the shims' own memory.

`HOLDFAST_IDLE_SECONDS=60` looks longer.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

IMAGE = "story:1"
COUNT = 60
SECONDS = float(os.environ.get("HOLDFAST_IDLE_SECONDS", "5"))
SHARE = 0.001
WISH = {"Image": IMAGE, "Cmd": ["sleep", "600"], "HostConfig": {"NetworkMode": "none"}}


def spent_nanos(pids: list[int]) -> int:
    """Processor time of all threads of the processes so far (schedstat: exact, not in ticks)."""
    return sum(
        int((thread / "schedstat").read_text().split()[0])
        for pid in pids
        for thread in Path(f"/proc/{pid}/task").iterdir()
    )


def test_sixty_idle_containers_cost_nothing(daemon: Any) -> None:
    for number in range(COUNT):
        assert daemon.api("POST", f"/containers/create?name=idle{number}", WISH)[0] == 201
        assert daemon.api("POST", f"/containers/idle{number}/start")[0] == 204
    pids = [daemon.pid, daemon.spawner_pid, *(daemon.shim_of(f"idle{number}") for number in range(COUNT))]
    time.sleep(2)

    before = spent_nanos(pids)
    time.sleep(SECONDS)
    spent = (spent_nanos(pids) - before) / 1e9

    assert spent < SHARE * SECONDS, f"{spent * 1000:.1f} ms in {SECONDS:.0f} s"
