# SPDX-License-Identifier: Apache-2.0
"""docker-py's networks and volumes say the same on both daemons."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat_case import Daemon, normal

SCRIPT = Path(__file__).with_name("docker_py_networks_script.py")


def test_docker_py_says_the_same_of_networks_and_volumes(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    def answer(daemon: Daemon) -> list[str]:
        done = daemon.sh(f"{sys.executable} {SCRIPT}", timeout=120)
        assert done.returncode == 0, f"{daemon.name}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        return normal(done.stdout, tmp_path).splitlines()

    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(answer, (dockerd, holdfastd))
    for their_line, our_line in zip(theirs, ours, strict=True):
        assert our_line == their_line
