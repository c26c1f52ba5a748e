# SPDX-License-Identifier: Apache-2.0
"""What a daemon of a test leaves when it, or the test run itself, is killed: processes, mounts, a namespace, a folder.

Called by conftest.py when a daemon ends, and at the start of a run for what dead runs have left.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

HOMES = Path("/var/tmp")
_OF_A_RUN = re.compile(r"hf-\w+-(\d+)")
_NETNS = Path("/run/netns")


def clear(home: Path, netns: str) -> None:
    """Ends the processes in the daemon's and its containers' network namespaces, unmounts what lies below, deletes all."""
    for pid in _processes(_namespaces(home, netns)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    for target in reversed(mounted_below(home)):
        subprocess.run(["umount", "-l", target], check=False, stderr=subprocess.DEVNULL)
    if (_NETNS / netns).exists():
        subprocess.run(["ip", "netns", "del", netns], check=False)
    shutil.rmtree(home, ignore_errors=True)


def clear_dead_runs(homes: Path = HOMES) -> list[str]:
    """Clears the homes whose test run is no more, and the neighbours of their hosts (`-n`); the homes' names."""
    cleared: list[str] = []
    for home in homes.iterdir():
        named = _OF_A_RUN.fullmatch(home.name)
        if named is not None and not Path(f"/proc/{named[1]}").exists():
            clear(home, home.name)
            cleared.append(home.name)
            neighbour = f"{home.name}-n"
            if (_NETNS / neighbour).exists():
                subprocess.run(["ip", "netns", "del", neighbour], check=False)
    return cleared


def mounted_below(home: Path) -> list[str]:
    """The mount points in a folder, parents first."""
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    targets = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    return [target for target in targets if target.startswith(f"{home}/")]


def _namespaces(home: Path, netns: str) -> set[tuple[int, int]]:
    found: set[tuple[int, int]] = set()
    for path in (_NETNS / netns, *home.glob("exec/netns/*")):
        with contextlib.suppress(OSError):
            found.add((path.stat().st_dev, path.stat().st_ino))
    own = os.stat("/proc/self/ns/net")
    return found - {(own.st_dev, own.st_ino)}


def _processes(namespaces: set[tuple[int, int]]) -> list[int]:
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdecimal():
                status = (entry / "ns/net").stat()
                if (status.st_dev, status.st_ino) in namespaces:
                    found.append(int(entry.name))
    return found
