# SPDX-License-Identifier: Apache-2.0
"""What is answered before the disk has it: a `kill -9` takes none of it, and nothing overtakes it on the way to the disk.

A creation and a removal without volumes; decisions/0016.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from steps import killing

IMAGE = "story:1"
WISH = {"Image": IMAGE, "Cmd": ["sleep", "300"], "HostConfig": {"NetworkMode": "none"}}
_CALL = re.compile(r"^(?P<thread>\d+) +(?P<seconds>[\d.]+) (?:<\.\.\. )?(?P<name>\w+)(?P<rest>.*)$")


def ask(daemon: Any, method: str, path: str, body: Any = None) -> int | None:
    """The status; None when the daemon died before it had answered."""
    try:
        return daemon.api(method, path, body, timeout=30)[0]
    except OSError:
        return None


@contextmanager
def killed_at_its_flush(daemon: Any, *, with_power: bool = True) -> Iterator[None]:
    """The daemon of the block dies on its way to the disk, and the next one is there after it.

    Without power it finds of the records only what had reached the disk before the block, and every file.
    """
    parts = [daemon.data / f"metadata.db{suffix}" for suffix in ("", "-wal")]
    on_disk = [part.read_bytes() for part in parts]
    with killing([daemon.pid], "fdatasync", 1):
        yield
        daemon.process.wait(20)
    if not with_power:
        (daemon.data / "metadata.db-shm").unlink()
        for part, content in zip(parts, on_disk, strict=True):
            part.write_bytes(content)
    daemon.start()


def test_a_creation_survives_a_kill_before_it_is_on_the_disk(daemon: Any) -> None:
    with killed_at_its_flush(daemon):
        answer = ask(daemon, "POST", "/containers/create?name=quick", WISH)

    assert answer in (201, None)
    assert daemon.inspect("quick")["State"]["Status"] == "created"
    assert ask(daemon, "POST", "/containers/quick/start") == 204
    assert ask(daemon, "DELETE", "/containers/quick?force=1") == 204
    assert daemon.leftovers() == {}


def test_a_removal_survives_a_kill_before_it_is_on_the_disk(daemon: Any) -> None:
    assert ask(daemon, "POST", "/containers/create?name=quick", WISH) == 201
    assert ask(daemon, "POST", "/containers/quick/start") == 204  # which has waited for the creation's flush
    assert ask(daemon, "POST", "/containers/quick/kill") == 204
    assert ask(daemon, "POST", "/containers/quick/wait") == 200

    with killed_at_its_flush(daemon):
        answer = ask(daemon, "DELETE", "/containers/quick")

    assert answer in (204, None)
    assert ask(daemon, "GET", "/containers/quick/json") == 404
    assert ask(daemon, "POST", "/containers/create?name=quick", WISH) == 201  # the name is free
    assert ask(daemon, "DELETE", "/containers/quick") == 204
    assert daemon.leftovers() == {}


def test_a_creation_that_power_loss_undoes_leaves_nothing(daemon: Any) -> None:
    with killed_at_its_flush(daemon, with_power=False):
        ask(daemon, "POST", "/containers/create?name=quick", WISH)

    assert ask(daemon, "GET", "/containers/quick/json") == 404
    assert daemon.leftovers() == {}


def test_a_removal_that_power_loss_undoes_leaves_the_container_whole(daemon: Any) -> None:
    wish = {**WISH, "Cmd": ["sh", "-c", "cat /kept; echo more >> /kept"]}
    assert ask(daemon, "POST", "/containers/create?name=quick", wish) == 201
    assert ask(daemon, "POST", "/containers/quick/start") == 204
    assert ask(daemon, "POST", "/containers/quick/wait") == 200

    with killed_at_its_flush(daemon, with_power=False):
        ask(daemon, "DELETE", "/containers/quick")

    assert daemon.out("start", "-a", "quick") == "more"
    assert ask(daemon, "DELETE", "/containers/quick?force=1") == 204
    assert daemon.leftovers() == {}


@contextmanager
def traced(daemon: Any, log: Path, calls: str) -> Iterator[None]:
    """Writes down the daemon's calls of these kinds, with the paths of descriptors and the moments."""
    assert shutil.which("strace") is not None, "strace is missing: scripts/setup dev installs it"
    command = ["strace", "-f", "-qq", "-y", "-s", "0", "-ttt", "-e", f"trace={calls}", "-o", str(log)]
    with subprocess.Popen([*command, "-p", str(daemon.pid)], stderr=subprocess.DEVNULL) as tracer:
        deadline = time.monotonic() + 10
        while not _is_traced(daemon.pid) and time.monotonic() < deadline:
            time.sleep(0.005)
        try:
            yield
        finally:
            tracer.terminate()


def _is_traced(pid: int) -> bool:
    states = [(each / "status").read_text() for each in Path(f"/proc/{pid}/task").iterdir()]
    return all("TracerPid:\t0\n" not in state for state in states)


def steps(log: Path, container_id: str) -> list[str]:
    """What the log says, in the order in which it was over: "write", "flush", "remove" (a file of this container)."""
    found: list[str] = []
    for line in log.read_text().splitlines():
        call = _CALL.match(line)
        if call is None:
            continue
        name, rest = call["name"], call["rest"]
        if name == "pwrite64" and "metadata.db-wal" in rest:
            found.append("write")
        elif name == "fdatasync":
            if rest.endswith("= 0"):  # else it has only begun: another line tells its end
                found.append("flush")
        elif container_id in rest and "/data/" in rest:
            found.append("remove")
    return found


@pytest.mark.parametrize("with_rm", [False, True])
def test_no_file_of_a_removed_container_goes_before_its_removal_is_on_the_disk(
    daemon: Any, tmp_path: Path, with_rm: bool
) -> None:
    wish = {**WISH, "HostConfig": {"NetworkMode": "none", "AutoRemove": with_rm}}
    status, body = daemon.api("POST", "/containers/create?name=quick", wish)
    assert status == 201, body
    container_id = json.loads(body)["Id"]
    time.sleep(0.2)  # the creation's own flush

    with traced(daemon, tmp_path / "log", "pwrite64,fdatasync,rename,renameat,renameat2,unlink,unlinkat,rmdir"):
        assert ask(daemon, "DELETE", "/containers/quick") == 204
        assert daemon.leftovers() == {}

    order = steps(tmp_path / "log", container_id)
    assert order.index("write") < order.index("flush") < order.index("remove"), order
    assert "write" not in order[order.index("flush") :], order
