# SPDX-License-Identifier: Apache-2.0
"""docker-py says the same against dockerd and against Holdfast: one script, its printed steps compared line by line."""

import re
import sys
from pathlib import Path

from compat_case import Daemon, normal

SCRIPT = Path(__file__).with_name("docker_py_script.py")


def test_docker_py_says_the_same(
    dockerd: Daemon, holdfastd: Daemon, registries: str, archive: Path, tmp_path: Path
) -> None:
    answers: dict[str, list[str]] = {}
    for daemon in (dockerd, holdfastd):
        done = daemon.sh(f"{sys.executable} -Walways {SCRIPT} {registries}/library/thing:one {archive}", timeout=120)
        assert done.returncode == 0, f"{daemon.name}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
        answers[daemon.name] = [
            re.sub(r"\bp[0-9a-f]{8}\b", "<pid>", normal(line, tmp_path)) for line in done.stdout.splitlines()
        ]

    assert len(answers["dockerd"]) == 13
    for theirs, ours in zip(answers["dockerd"], answers["holdfast"], strict=True):
        assert ours == theirs
