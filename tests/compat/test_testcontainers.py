# SPDX-License-Identifier: Apache-2.0
"""testcontainers-python finds the same on both daemons. Its reaper, which is an image of the Internet, is switched off."""

import sys
from pathlib import Path

from compat_case import Daemon, normal

SCRIPT = Path(__file__).with_name("testcontainers_script.py")


def test_testcontainers_find_the_same(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    answers: list[list[str]] = []
    for daemon in (dockerd, holdfastd):
        done = daemon.sh(f"TESTCONTAINERS_RYUK_DISABLED=true {sys.executable} {SCRIPT}", timeout=120)
        assert done.returncode == 0, f"{daemon.name}: {done.stderr[-3000:]}"
        answers.append(normal(done.stdout, tmp_path).splitlines())

    theirs, ours = answers
    assert "networks" in theirs
    assert ours == theirs
