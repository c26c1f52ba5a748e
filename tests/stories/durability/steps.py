# SPDX-License-Identifier: Apache-2.0
"""kill -9 of processes at one of their system calls: strace injects the signal at the k-th call of a kind."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def killing(pids: Iterable[int], call: str, number: int, *, with_children: bool = True) -> Iterator[None]:
    """Each of the processes (and their future children) dies on entering its own `number`-th such call from now on."""
    assert shutil.which("strace") is not None, "strace is missing: scripts/setup dev installs it"
    pids = list(pids)
    options = [word for pid in pids for word in ("-p", str(pid))]
    tracer = subprocess.Popen(
        ["strace", *(["-f"] if with_children else []), "-qq", "-o", "/dev/null", "-e", f"trace={call}",
         "-e", f"inject={call}:signal=KILL:when={number}", *options],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 10
        while not all(_is_traced(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.005)
        yield
    finally:
        tracer.terminate()
        try:
            tracer.wait(1)
        except subprocess.TimeoutExpired:  # strace 6.1 may wait for ever for threads of a process that it has killed
            tracer.kill()
            tracer.wait(10)


def _is_traced(pid: int) -> bool:
    """Whether all of its threads are."""
    try:
        states = [(each / "status").read_text() for each in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return False
    return all("TracerPid:\t0\n" not in state for state in states)
