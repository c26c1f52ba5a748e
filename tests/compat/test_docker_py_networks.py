# SPDX-License-Identifier: Apache-2.0
"""docker-py's networks and volumes say the same on both daemons."""

import sys
from pathlib import Path

from compat_case import Daemon, normal

SCRIPT = Path(__file__).with_name("docker_py_networks_script.py")


def test_docker_py_says_the_same_of_networks_and_volumes(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    answers: list[list[str]] = []
    for daemon in (dockerd, holdfastd):
        done = daemon.sh(f"{sys.executable} {SCRIPT}", timeout=120)
        assert done.returncode == 0, f"{daemon.name}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        answers.append(normal(done.stdout, tmp_path).splitlines())

    for theirs, ours in zip(*answers, strict=True):
        assert ours == theirs
