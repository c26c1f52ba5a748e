# SPDX-License-Identifier: Apache-2.0
"""docker-py says the same against dockerd and against Holdfast: scripts whose printed steps are compared line by line."""

import re
import sys
from pathlib import Path

import docker_py_steps
from compat_case import Daemon, normal

HERE = Path(__file__).parent


def said(daemon: Daemon, script: str, *arguments: object) -> list[str]:
    """The lines of one script, with ids and the like replaced."""
    words = " ".join(str(argument) for argument in arguments)
    done = daemon.sh(f"{sys.executable} -Walways {HERE / script} {words}", timeout=120)
    assert done.returncode == 0, f"{daemon.name}: {done.stdout[-1500:]}\n{done.stderr[-3000:]}"
    return [re.sub(r"\bp[0-9a-f]{8}\b", "<pid>", normal(line, HERE)) for line in done.stdout.splitlines()]


def test_docker_py_says_the_same(dockerd: Daemon, holdfastd: Daemon, registries: str, archive: Path) -> None:
    theirs, ours = (
        said(daemon, "docker_py_script.py", f"{registries}/library/thing:one", archive)
        for daemon in (dockerd, holdfastd)
    )

    assert len(theirs) == 14
    for their_line, our_line in zip(theirs, ours, strict=True):
        assert our_line == their_line


def test_docker_pys_whole_container_surface(dockerd: Daemon, holdfastd: Daemon, registries: str, archive: Path) -> None:
    theirs, ours = (said(daemon, "docker_py_containers.py") for daemon in (dockerd, holdfastd))

    assert len(theirs) == 10
    assert not [line for line in theirs if ": raised" in line]
    for their_line, our_line in zip(theirs, ours, strict=True):
        assert our_line == their_line
    first = said(holdfastd, "docker_py_script.py", f"{registries}/library/thing:one", archive)
    called = {name for lines in (first, ours) for name in lines[-1].split()[1:]}
    assert sorted(docker_py_steps.surface() - called) == []
