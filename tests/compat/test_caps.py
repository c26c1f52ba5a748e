# SPDX-License-Identifier: Apache-2.0
"""The daemon's caps act where a user meets them: `load`, and `cp` into a container."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from compat_case import Daemon

SCRIPT = """
docker load -i {archive} 2>&1 | grep -o 'more than the limit of 5 entries.*'
mkdir many; touch many/1 many/2 many/3 many/4 many/5
docker create --name target hello-world x > /dev/null
docker cp many target:/ 2>&1 | grep -o 'more than the limit of 5 entries.*'
rm many/5; docker cp -q many target:/ && echo copied
docker info -f '{{{{json .DriverStatus}}}}'
"""
REFUSAL = "more than the limit of 5 entries (the daemon's option max-unpacked-entries allows more)"


def test_a_load_and_a_copy_meet_the_daemons_caps(
    start_holdfastd: Callable[..., AbstractContextManager[Daemon]], archive: Path, tmp_path: Path
) -> None:
    home = Path("/var/tmp") / f"hf-caps-{os.getpid()}"

    with start_holdfastd(home.name, home, "--max-unpacked-entries=5") as daemon:
        done = daemon.sh(SCRIPT.format(archive=archive), folder=tmp_path)

    assert done.stdout.splitlines()[:3] == [REFUSAL, REFUSAL, "copied"], done.stdout + done.stderr
