# SPDX-License-Identifier: Apache-2.0
"""A run that was killed leaves nothing for the next one to trip over."""

import subprocess
import time
from pathlib import Path

from leftovers import clear_dead_runs, mounted_below


def test_what_a_killed_run_left_is_cleared_and_a_living_one_is_not(tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    dead, living, other = tmp_path / f"hf-leftover-{ended.pid}", tmp_path / "hf-leftover-1", tmp_path / "holiday"
    for home in (dead, living, other):
        (home / "data/containers/some one/shm").mkdir(parents=True)
    subprocess.run(["ip", "netns", "add", dead.name], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "shm", dead / "data/containers/some one/shm"], check=True)
    orphan = subprocess.Popen(["nsenter", f"--net=/run/netns/{dead.name}", "sleep", "100"])
    time.sleep(0.2)

    assert clear_dead_runs(tmp_path) == [dead.name]

    assert orphan.wait(5) == -9
    assert not mounted_below(tmp_path)
    assert not Path("/run/netns", dead.name).exists()
    assert sorted(home.name for home in tmp_path.iterdir()) == [living.name, other.name]
