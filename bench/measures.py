# SPDX-License-Identifier: Apache-2.0
"""What is measured: each function does one thing once on one side and returns seconds (or bytes)."""

from __future__ import annotations

import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from sides import private_bytes

if TYPE_CHECKING:
    from collections.abc import Callable

    from sides import Side

IMAGE = "busybox:1.37.0-musl"
LINES = 300_000


def _timed(act: Callable[[], object]) -> float:
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def api_life(side: Side, network: str) -> float:
    """create, start, wait, delete on one kept connection."""

    def life() -> None:
        body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"NetworkMode": network}}
        identity = side.api.call("POST", "/containers/create", body=body)["Id"]
        side.api.call("POST", f"/containers/{identity}/start")
        side.api.call("POST", f"/containers/{identity}/wait")
        side.api.call("DELETE", f"/containers/{identity}")

    return _timed(life)


def cli_run(side: Side, *flags: str) -> float:
    """docker run --rm IMAGE true."""
    return _timed(lambda: side.docker("run", "--rm", *flags, IMAGE, "true"))


def cli_parallel_runs(side: Side) -> float:
    """20 x docker run --rm, 8 at once."""

    def runs() -> None:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: side.docker("run", "--rm", IMAGE, "true"), range(20)))

    return _timed(runs)


class Running:
    """One sleeping container for the measurements that need one."""

    def __init__(self, side: Side, *flags: str) -> None:
        self._side = side
        self.identity = side.docker("run", "-d", *flags, IMAGE, "sleep", "100000").stdout.decode().strip()

    def __enter__(self) -> str:
        return self.identity

    def __exit__(self, *_: object) -> None:
        self._side.docker("rm", "-f", self.identity)


def api_exec(side: Side, identity: str) -> float:
    """exec create, start, until its stream ends, inspect."""

    def run() -> None:
        body = {"Cmd": ["true"], "AttachStdout": True, "AttachStderr": True}
        made = side.api.call("POST", f"/containers/{identity}/exec", body=body)["Id"]
        upgraded = side.api.upgrade(f"/exec/{made}/start", body={"Detach": False})
        while upgraded.stream.recv(4096):
            pass
        upgraded.stream.close()
        assert side.api.call("GET", f"/exec/{made}/json")["ExitCode"] == 0

    return _timed(run)


def cli_exec(side: Side, identity: str) -> float:
    """docker exec C true."""
    return _timed(lambda: side.docker("exec", identity, "true"))


def api_list(side: Side) -> float:
    """GET /containers/json?all=1 to the last byte, unread: what it says is the client's work, the same on both sides."""
    return _timed(lambda: side.api.read("/containers/json", query={"all": True}))


def api_images(side: Side) -> float:
    """GET /images/json on a kept connection, to the last byte."""
    return _timed(lambda: side.api.read("/images/json"))


def cli_network(side: Side) -> float:
    """docker network create, docker network rm."""
    return _timed(lambda: (side.docker("network", "create", "bench-one"), side.docker("network", "rm", "bench-one")))


def api_network(side: Side) -> float:
    """The same on one kept connection."""

    def act() -> None:
        made = side.api.call("POST", "/networks/create", body={"Name": "bench-two"})["Id"]
        side.api.call("DELETE", f"/networks/{made}")

    return _timed(act)


def api_connect(side: Side, identity: str) -> float:
    """connect and disconnect of a running container on one kept connection."""

    def act() -> None:
        for action in ("connect", "disconnect"):
            side.api.call("POST", f"/networks/bench-net/{action}", body={"Container": identity})

    seconds = _timed(act)
    time.sleep(0.1)  # what is deleted behind the answer must not wait for us, nor we for it
    return seconds


def cli_connect(side: Side, identity: str) -> float:
    """docker network connect, docker network disconnect, of a running container."""
    words = ("bench-net", identity)
    return _timed(lambda: (side.docker("network", "connect", *words), side.docker("network", "disconnect", *words)))


def cli_remove_running(side: Side) -> float:
    """docker rm -f of a running container."""
    identity = side.docker("run", "-d", IMAGE, "sleep", "100000").stdout.decode().strip()
    return _timed(lambda: side.docker("rm", "-f", identity))


def cli_stop(side: Side) -> float:
    """docker stop -t 0 of a running container."""
    identity = side.docker("run", "-d", IMAGE, "sleep", "100000").stdout.decode().strip()
    seconds = _timed(lambda: side.docker("stop", "-t", "0", identity))
    side.docker("rm", identity)
    return seconds


def api_pause(side: Side, identity: str) -> float:
    """pause and unpause on one kept connection."""

    def act() -> None:
        for action in ("pause", "unpause"):
            side.api.call("POST", f"/containers/{identity}/{action}")

    return _timed(act)


def cli_stats(side: Side) -> float:
    """docker stats --no-stream of everything that runs; Docker's client itself waits a second for its second sample."""
    return _timed(lambda: side.docker("stats", "--no-stream"))


def cli_copy(side: Side, identity: str, folder: Path) -> float:
    """docker cp of a folder into a container and out again."""
    out = folder.parent / f"{side.name}-out"

    def act() -> None:
        side.docker("cp", str(folder), f"{identity}:/tmp/")
        side.docker("cp", f"{identity}:/tmp/{folder.name}", str(out))

    seconds = _timed(act)
    shutil.rmtree(out)
    side.docker("exec", identity, "rm", "-r", f"/tmp/{folder.name}")
    return seconds


def cli_commit(side: Side, identity: str) -> float:
    """docker commit of a container with what it has written."""
    seconds = _timed(lambda: side.docker("commit", identity, "bench-commit"))
    side.docker("rmi", "bench-commit")
    return seconds


def load(side: Side, archive: Path, image: str) -> float:
    """docker load of an image that is not there, until the disk has it."""

    def act() -> None:
        with open(archive, "rb") as file:
            side.docker("load", stdin=file)
        subprocess.run(["sync"], check=True)

    subprocess.run(["sync"], check=True)
    seconds = _timed(act)
    side.docker("rmi", "-f", image)
    return seconds


def pull(side: Side, reference: str) -> float:
    """docker pull of an image that is not there, from a registry in the daemon's own namespace."""
    subprocess.run(["sync"], check=True)
    seconds = _timed(lambda: (side.docker("pull", "-q", reference), subprocess.run(["sync"], check=True)))
    side.docker("rmi", "-f", reference)
    return seconds


def pull_present(side: Side, reference: str) -> float:
    """docker pull of an image that is there already, with an unchanged tag."""
    return _timed(lambda: side.docker("pull", "-q", reference))


def api_pull_present(side: Side, reference: str) -> float:
    """The same as the daemon's part: the request on a kept connection, to the end of its answer."""
    name, _, tag = reference.rpartition(":")

    def pull_it() -> None:
        said = list(side.api.messages("POST", "/images/create", query={"fromImage": name, "tag": tag}, body=b""))
        assert "up to date" in said[-1]["status"], said

    return _timed(pull_it)


def push(side: Side, image: str, repository: str) -> float:
    """docker push of an image that was loaded, to a repository of its own each time, so that every byte travels."""
    name = f"{repository}:{time.monotonic_ns()}"
    side.docker("tag", image, name)
    seconds = _timed(lambda: side.docker("push", "-q", name))
    side.docker("rmi", name)
    return seconds


def pull_growth(side: Side, reference: str) -> float:
    """How much the daemon's resident memory grows at most while it pulls, in bytes (/proc/PID/clear_refs, VmHWM)."""
    pids = side.daemon_pids()
    before = sum(_status_bytes(pid, "VmRSS") for pid in pids)
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    side.docker("pull", "-q", reference)
    peak = sum(_status_bytes(pid, "VmHWM") for pid in pids)
    side.docker("rmi", "-f", reference)
    return peak - before


def _status_bytes(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    return 0


def write_logs(side: Side) -> tuple[float, float]:
    """A container that writes 300 000 lines of 100 bytes, detached: seconds to its end, seconds to read them back."""
    script = f"i=0; l=$(printf %099d 7); yes $l | head -n {LINES}"

    def write() -> None:
        side.docker("run", "--name", "bench-logs", "-d", IMAGE, "sh", "-c", script)
        side.docker("wait", "bench-logs")

    written = _timed(write)
    read = _timed(lambda: side.docker("logs", "bench-logs"))
    lines = side.docker("logs", "bench-logs").stdout.count(b"\n")
    side.docker("rm", "-f", "bench-logs")
    if lines != LINES:
        raise RuntimeError(f"{side.name}: {lines} of {LINES} lines came back")
    return written, read


def daemon_memory(side: Side) -> float:
    """Private memory of the daemon's own processes, in bytes."""
    return private_bytes(side.daemon_pids())


def shim_memory(side: Side) -> float:
    """Private memory of one idle container's shim, in bytes."""
    before = set(side.shim_pids())
    with Running(side):
        time.sleep(1)
        return private_bytes([pid for pid in side.shim_pids() if pid not in before])
