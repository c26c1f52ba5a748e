# SPDX-License-Identifier: Apache-2.0
"""testcontainers-python finds the same on both daemons. Its reaper, which is an image of the Internet, is switched off."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from compat_case import Daemon, normal

SCRIPT = Path(__file__).with_name("testcontainers_script.py")


def test_testcontainers_find_the_same(dockerd: Daemon, holdfastd: Daemon, tmp_path: Path) -> None:
    def answer(daemon: Daemon) -> list[str]:
        done = daemon.sh(f"TESTCONTAINERS_RYUK_DISABLED=true {sys.executable} {SCRIPT}", timeout=120)
        assert done.returncode == 0, f"{daemon.name}: {done.stderr[-3000:]}"
        return normal(done.stdout, tmp_path).splitlines()

    with ThreadPoolExecutor(2) as pool:
        theirs, ours = pool.map(answer, (dockerd, holdfastd))
    assert "networks" in theirs
    assert ours == theirs
