# SPDX-License-Identifier: Apache-2.0
"""Real containers under real shims: streams, exec, signals, exits, and what survives whose death. Needs root."""

import asyncio
import contextlib
import dataclasses
import itertools
import json
import os
import shutil
import signal
import socket
import tarfile
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from holdfast import errors
from holdfast.runtime import cgroups, defaults
from holdfast.runtime.errors import StartError
from holdfast.shim import client
from holdfast.shim.client import Exited, Launch, LogTarget, Shim, ShimLost, Spawner, StreamGrant

IMAGE = Path(__file__).resolve().parents[3] / "shared/images/busybox-1.37.0-musl"

_numbers = itertools.count()


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("rootfs")
    index = json.loads((IMAGE / "index.json").read_text())
    manifest = _blob(index["manifests"][0]["digest"])
    for layer in json.loads(manifest.read_text())["layers"]:
        with tarfile.open(_blob(layer["digest"])) as archive:
            archive.extractall(root, filter="fully_trusted")
    return root


def _blob(digest: str) -> Path:
    return IMAGE / "blobs" / digest.replace(":", "/")


class House:
    """A place for containers: launches them, and sweeps up whatever a test leaves."""

    def __init__(self, rootfs: Path, directory: Path, spawner: Spawner) -> None:
        self.rootfs = rootfs
        self.directory = directory
        self.spawner = spawner
        self.shims: list[Shim] = []

    def plan(self, *args: str, tty: bool = False, **how: Any) -> Launch:
        container_id = f"shim-{os.getpid()}-{next(_numbers)}"
        log = LogTarget(path=str(self.directory / f"{container_id}.log"), options=how.pop("log", {}))
        return Launch(
            container_id=container_id,
            directory=str(self.directory / "shims" / container_id),
            spec=self._spec(args, tty, how.pop("uid", 0)),
            rootfs_mounts=None,
            cgroup_path=f"/shimtests/{container_id}",
            log=log,
            tty=tty,
            **how,
        )

    def _spec(self, args: tuple[str, ...], tty: bool, uid: int) -> dict[str, Any]:
        capabilities = list(defaults.CAPABILITIES)
        sets = dict.fromkeys(("bounding", "effective", "permitted"), capabilities)
        return {
            "ociVersion": "1.2.0",
            "root": {"path": str(self.rootfs)},
            "hostname": "shimtest",
            "process": {**_process(*args, tty=tty, uid=uid), "capabilities": sets},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc", "options": []},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["mode=755"]},
                {
                    "destination": "/dev/pts",
                    "type": "devpts",
                    "source": "devpts",
                    "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
                },
            ],
            "linux": {"namespaces": [{"type": kind} for kind in ("pid", "ipc", "uts", "mount", "network")]},
        }

    async def launch(self, *args: str, **how: Any) -> Shim:
        shim = await self.spawner.launch(self.plan(*args, **how))
        self.shims.append(shim)
        return shim

    async def sweep(self) -> None:
        for shim in self.shims:
            with contextlib.suppress(errors.HoldfastError):
                await shim.kill(signal.SIGKILL)
                async with asyncio.timeout(5):
                    async for _ in shim.events():
                        pass
            await shim.close()


@pytest.fixture
async def house(rootfs: Path, tmp_path: Path) -> AsyncIterator[House]:
    spawner = await Spawner.start(str(tmp_path))
    house = House(rootfs, tmp_path, spawner)
    yield house
    await house.sweep()
    await spawner.close()


def _process(*args: str, tty: bool = False, uid: int = 0) -> dict[str, Any]:
    return {
        "terminal": tty,
        "user": {"uid": uid, "gid": uid},
        "args": list(args),
        "env": ["PATH=/bin:/usr/bin", "TERM=xterm"],
        "cwd": "/",
    }


def _left_of(plan: Launch) -> list[Path]:
    """A control group that is gone has no processes."""
    return [*Path("/sys/fs/cgroup").glob(f"*{plan.cgroup_path}"), *Path(plan.directory).parent.glob(plan.container_id)]


async def _exit_of(shim: Shim) -> Exited:
    async with asyncio.timeout(10):
        async for event in shim.events():
            if isinstance(event, Exited) and event.exec_id is None:
                return event
    raise AssertionError("no exit was reported")


def _client(**how: Any) -> tuple[socket.socket, StreamGrant]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    return ours, StreamGrant(sock=theirs, **how)


async def _read_all(sock: socket.socket) -> bytes:
    received = b""
    async with asyncio.timeout(10):
        while data := await asyncio.get_running_loop().sock_recv(sock, 65536):
            received += data
    sock.close()
    return received


async def _read_until(sock: socket.socket, ending: bytes) -> bytes:
    received = b""
    async with asyncio.timeout(10):
        while ending not in received:
            data = await asyncio.get_running_loop().sock_recv(sock, 65536)
            assert data, f"the stream ended after {received!r}"
            received += data
    return received


async def _wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _cgroups_of(container_id: str) -> list[Path]:
    return [*Path("/sys/fs/cgroup").glob(f"*/shimtests/{container_id}")]


def _exists(path: str) -> bool:
    return os.path.exists(path)


def _read(path: str) -> str:
    return Path(path).read_text()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def _log(house: House, shim: Shim) -> list[dict[str, str]]:
    return [json.loads(line) for line in (house.directory / f"{shim.container_id}.log").read_text().splitlines()]


async def test_output_is_framed_for_the_client_and_kept_in_the_log(house: House):
    ours, grant = _client()
    shim = await house.launch("sh", "-c", "echo out; sleep 0.02; echo err >&2; exit 7", grants=[grant])

    assert (await _exit_of(shim)).exit_code == 7
    assert await _read_all(ours) == b"\1\0\0\0\0\0\0\4out\n\2\0\0\0\0\0\0\4err\n"
    assert [(entry["log"], entry["stream"]) for entry in _log(house, shim)] == [
        ("out\n", "stdout"),
        ("err\n", "stderr"),
    ]


async def test_the_first_client_misses_nothing(house: House):
    ours, grant = _client(framed=False)
    shim = await house.launch("echo", "-n", "x", grants=[grant])

    assert await _read_all(ours) == b"x"
    await _exit_of(shim)


@pytest.mark.parametrize("code", [0, 1, 42, 255])
async def test_exit_codes_are_the_processs_own(house: House, code: int):
    shim = await house.launch("sh", "-c", f"exit {code}")

    before = time.time_ns()
    event = await _exit_of(shim)
    assert (event.exit_code, event.oom_killed) == (code, False)
    assert shim.started_at_nanos <= event.finished_at_nanos
    assert event.finished_at_nanos - before < 10_000_000_000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
async def test_a_death_by_signal_is_128_plus_its_number(house: House, number: int):
    ours, grant = _client(framed=False)
    shim = await house.launch(
        "sh", "-c", "trap 'kill -9 $$' TERM; echo up; while :; do sleep 0.05; done", grants=[grant]
    )
    await _read_until(ours, b"up")

    if number == signal.SIGKILL:
        await shim.kill(number)
        assert (await _exit_of(shim)).exit_code == 137
    else:
        await shim.kill(signal.SIGUSR1)  # an init ignores what it does not handle
        await shim.kill(number, all=True)
        await shim.kill(signal.SIGKILL)
        assert (await _exit_of(shim)).exit_code == 137
    with pytest.raises(errors.HoldfastError):
        await shim.kill(signal.SIGKILL)


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        (["/nosuch"], "no such file or directory"),
        (["/etc"], "is a directory"),
    ],
)
async def test_a_failed_start_says_why_and_leaves_nothing(house: House, args: list[str], text: str):
    plan = house.plan(*args)

    with pytest.raises(StartError) as failure:
        await house.spawner.launch(plan)

    assert text in failure.value.message
    assert not _exists(plan.directory)
    assert _cgroups_of(plan.container_id) == []


async def test_a_failed_start_leaves_the_clients_socket_to_the_daemon(house: House):
    ours, grant = _client()

    with pytest.raises(StartError):
        await house.launch("nosuch", grants=[grant])

    grant.sock.sendall(b"why")
    grant.sock.close()
    assert await _read_all(ours) == b"why"


async def test_the_end_of_the_clients_input_is_the_end_of_stdin_when_agreed(house: House):
    ours, grant = _client(stdin=True, framed=False, pending=b"first ", close_stdin_once=True)
    shim = await house.launch("sh", "-c", "cat; sleep 0.1; echo done", open_stdin=True, grants=[grant])

    ours.sendall(b"second ")
    ours.shutdown(socket.SHUT_WR)

    assert await _read_all(ours) == b"first second done\n"
    assert (await _exit_of(shim)).exit_code == 0


async def test_the_end_of_the_clients_input_only_detaches_when_nothing_was_agreed(house: House):
    ours, grant = _client(stdin=True, framed=False)
    shim = await house.launch("cat", open_stdin=True, grants=[grant])
    ours.shutdown(socket.SHUT_WR)

    assert await _read_all(ours) == b""
    again, grant = _client(stdin=True, framed=False)
    await shim.attach(grant)
    again.sendall(b"still there\n")
    assert await _read_until(again, b"\n") == b"still there\n"


async def test_a_client_that_vanishes_leaves_its_input_and_the_container_goes_on(house: House):
    ours, grant = _client(stdin=True, framed=False, close_stdin_once=True)
    shim = await house.launch("sh", "-c", "sleep 0.2; wc -c", open_stdin=True, grants=[grant])
    data = b"y" * 200_000

    await asyncio.get_running_loop().sock_sendall(ours, data)
    ours.close()

    assert (await _exit_of(shim)).exit_code == 0
    assert _log(house, shim)[0]["log"] == "200000\n"


async def test_a_terminal_is_raw_has_a_size_and_echoes(house: House):
    ours, grant = _client(stdin=True, framed=False)
    shim = await house.launch("sh", tty=True, open_stdin=True, grants=[grant])

    await shim.resize(33, 77)
    ours.sendall(b"stty size; tty; exit 5\n")

    output = await _read_all(ours)
    assert b"33 77\r\n" in output
    assert b"/dev/" in output
    assert (await _exit_of(shim)).exit_code == 5
    assert "".join(entry["log"] for entry in _log(house, shim)).encode() == output


async def test_detach_keys_end_the_attachment_not_the_container(house: House):
    ours, grant = _client(stdin=True, framed=False, detach_keys=b"\x10\x11")
    shim = await house.launch("cat", tty=True, open_stdin=True, grants=[grant])
    events = shim.events()

    ours.sendall(b"a\x10b\n")  # half of the keys is passed on
    assert b"a^Pb" in await _read_until(ours, b"b\r\n")
    ours.sendall(b"\x10")
    ours.sendall(b"\x11")

    assert isinstance(await anext(events), client.Detached)
    await _read_all(ours)
    again, grant = _client(stdin=True, framed=False, detach_keys=b"\x10\x11")
    await shim.attach(grant)
    again.sendall(b"back\n")
    assert b"back" in await _read_until(again, b"back")


async def test_many_clients_see_the_same(house: House):
    first, grant = _client(framed=False)
    shim = await house.launch("sh", "-c", "echo one; read line; echo two", open_stdin=True, grants=[grant])
    await _read_until(first, b"one\n")

    second, grant = _client(framed=False, stderr=False)
    typist, typing = _client(stdin=True, stdout=False, stderr=False)
    await shim.attach(grant)
    await shim.attach(typing)
    typist.sendall(b"\n")

    assert await _read_all(first) == b"two\n"
    assert await _read_all(second) == b"two\n"
    assert await _read_all(typist) == b""
    await _exit_of(shim)


async def test_execs_run_beside_each_other_with_streams_and_codes_of_their_own(house: House):
    shim = await house.launch("sleep", "60")
    ours, grant = _client()
    console, console_grant = _client(framed=False)

    pid = await shim.exec("a", _process("sh", "-c", "echo $$; hostname; exit 3"), grants=[grant])
    await shim.exec("b", _process("sh", "-c", "tty; exit 4", tty=True), tty=True, grants=[console_grant])
    await shim.exec("c", _process("sh", "-c", "kill -15 $$"))

    codes: dict[str | None, int] = {}
    async with asyncio.timeout(10):
        async for event in shim.events():
            assert isinstance(event, Exited)
            codes[event.exec_id] = event.exit_code
            if len(codes) == 3:
                break
    assert pid > 0
    assert codes == {"a": 3, "b": 4, "c": 143}
    assert b"shimtest\n" in await _read_all(ours)
    assert b"/dev/pts/" in await _read_all(console)


async def test_an_exec_that_cannot_start_leaves_the_container_alone(house: House):
    shim = await house.launch("cat", open_stdin=True)
    ours, grant = _client(framed=False)

    with pytest.raises(StartError, match="executable file not found"):
        await shim.exec("a", _process("nosuch"), grants=[grant])

    grant.sock.sendall(b"said by the daemon")
    grant.sock.close()
    assert await _read_all(ours) == b"said by the daemon"
    await shim.exec("a", _process("true"))


async def test_a_large_exec_request_arrives(house: House):
    shim = await house.launch("sleep", "60")
    ours, grant = _client(framed=False)
    process = _process("sh", "-c", "echo ${#BIG}")
    process["env"].append("BIG=" + "x" * 100_000)

    await shim.exec("a", process, grants=[grant])

    assert await _read_all(ours) == b"100000\n"


async def test_an_exec_ends_for_its_client_though_a_grandchild_holds_its_output(house: House):
    shim = await house.launch("sleep", "60")
    ours, grant = _client(framed=False)

    await shim.exec("a", _process("sh", "-c", "sleep 30 & echo bye"), grants=[grant])

    assert await _read_all(ours) == b"bye\n"


async def test_pause_stops_and_resume_continues(house: House):
    ours, grant = _client(framed=False)
    shim = await house.launch("sh", "-c", "while :; do echo x; sleep 0.01; done", grants=[grant])
    await _read_until(ours, b"x")

    await shim.pause()
    await asyncio.sleep(0.1)
    size = (house.directory / f"{shim.container_id}.log").stat().st_size
    await asyncio.sleep(0.1)
    assert (house.directory / f"{shim.container_id}.log").stat().st_size == size

    await shim.resume()
    await _wait_for(lambda: (house.directory / f"{shim.container_id}.log").stat().st_size > size)


async def test_a_paused_container_can_be_killed(house: House):
    shim = await house.launch("sleep", "60")
    await shim.pause()

    await shim.kill(signal.SIGKILL)

    assert (await _exit_of(shim)).exit_code == 137


async def test_a_killed_container_cannot_be_paused_before_it_is_dead(house: House):
    """A frozen process does not die of the SIGKILL that it was sent before."""
    for _ in range(10):
        shim = await house.launch("sleep", "60")

        killed, paused = await asyncio.gather(shim.kill(signal.SIGKILL), shim.pause(), return_exceptions=True)

        assert killed is None
        assert isinstance(paused, errors.Conflict)
        assert (await _exit_of(shim)).exit_code == 137


async def test_an_exec_amid_the_end_is_told_that_the_container_is_not_running(house: House):
    """The kernel kills an exec's process before the dying init is seen to be dead."""
    crowd = "trap 'exit 3' TERM; i=0; while [ $i -lt 60 ]; do sleep 60 & i=$((i+1)); done; echo x; wait"
    for delay in (0, 0.002, 0.004, 0.006, 0.008):
        ours, grant = _client(framed=False)
        shim = await house.launch("sh", "-c", crowd, grants=[grant])
        await _read_until(ours, b"x")
        await shim.kill(signal.SIGTERM)
        await asyncio.sleep(delay)
        with contextlib.suppress(errors.Conflict):
            await shim.exec("late", _process("true"))

        assert (await _exit_of(shim)).exit_code == 3


async def test_an_exec_that_comes_after_a_pause_is_refused_and_wedges_nothing(house: House):
    """Its maker was frozen on joining the container's cgroup, and the shim waited for it for ever."""
    shim = await house.launch("sleep", "60")
    await shim.pause()

    async with asyncio.timeout(5):
        with pytest.raises(errors.Conflict, match="paused"):
            await shim.exec("late", _process("true"))
        await shim.resume()
        await shim.exec("later", _process("true"))


async def test_a_client_that_does_not_read_stops_the_container_for_a_while_only(
    house: House,
):
    ours, grant = _client(framed=False)
    shim = await house.launch("sh", "-c", f"yes {'x' * 99} | head -c 4000000", grants=[grant])

    event = await _exit_of(shim)

    assert event.exit_code == 0
    assert event.finished_at_nanos - shim.started_at_nanos > 4_000_000_000
    lines = (house.directory / f"{shim.container_id}.log").read_bytes()
    assert lines.count(b"\n") == 40_000
    ours.close()


async def test_a_slow_client_gets_everything(house: House):
    ours, grant = _client(framed=False)
    shim = await house.launch("sh", "-c", "head -c 3000000 /dev/zero", grants=[grant], log={"max-size": "1m"})
    received = 0
    while data := await asyncio.get_running_loop().sock_recv(ours, 60_000):
        received += len(data)
        await asyncio.sleep(0.002)

    assert received == 3_000_000
    await _exit_of(shim)


async def test_a_flood_is_rotated_without_a_torn_line(house: House):
    shim = await house.launch(
        "sh",
        "-c",
        "i=0; while [ $i -lt 20000 ]; do echo $i; i=$((i+1)); done",
        log={"max-size": "500k", "max-file": "9"},
    )
    await _exit_of(shim)

    files = sorted(house.directory.glob(f"{shim.container_id}.log*"), reverse=True)  # .log.5 .log.4 ... .log
    numbers = [int(json.loads(line)["log"]) for file in files for line in file.read_bytes().splitlines()]
    assert len(files) > 2
    assert numbers == list(range(20000))


async def test_a_new_daemon_adopts_a_running_container(house: House):
    shim = await house.launch("cat", open_stdin=True)
    await shim.exec("still", _process("sleep", "60"))
    await shim.exec("gone", _process("sh", "-c", "exit 9"))
    await shim.close()  # the daemon is gone
    await asyncio.sleep(0.2)

    directory = str(house.directory / "shims" / shim.container_id)
    found = await client.adopt(shim.container_id, directory)
    house.shims.append(found)

    assert (found.pid, found.shim_pid, found.started_at_nanos) == (shim.pid, shim.shim_pid, shim.started_at_nanos)
    assert {each["exec_id"]: each["exit_code"] for each in found.execs} == {"still": None, "gone": 9}
    event = await anext(found.events())
    assert isinstance(event, Exited)
    assert (event.exec_id, event.exit_code) == ("gone", 9)
    await found.kill(signal.SIGKILL)
    assert (await _exit_of(found)).exit_code == 137


async def test_the_exit_of_a_container_without_a_daemon_is_kept(house: House):
    ours, grant = _client(framed=False)
    shim = await house.launch("sh", "-c", "sleep 0.3; echo late; exit 6", grants=[grant])
    directory = str(house.directory / "shims" / shim.container_id)
    await shim.close()

    assert await _read_all(ours) == b"late\n"  # the client was the shim's all the time
    await _wait_for(lambda: client.read_exit(directory) is not None)
    kept = client.read_exit(directory)
    assert kept is not None
    assert kept.exit_code == 6
    found = await client.adopt(shim.container_id, directory)
    assert await _exit_of(found) == kept
    await found.close()
    await _wait_for(lambda: not _is_alive(shim.shim_pid))
    assert not _exists(directory)


async def test_a_shim_leaves_when_its_directory_is_gone(house: House):
    shim = await house.launch("true")
    await _exit_of(shim)

    shutil.rmtree(house.directory / "shims" / shim.container_id)

    await _wait_for(lambda: not _is_alive(shim.shim_pid))


async def test_a_killed_spawner_is_replaced_and_no_container_notices(house: House):
    shim = await house.launch("cat", open_stdin=True)
    first = house.spawner.pid

    os.kill(first, signal.SIGKILL)
    other = await house.launch("sh", "-c", "exit 2")

    assert house.spawner.pid != first
    assert (await _exit_of(other)).exit_code == 2
    await shim.exec("a", _process("true"))


async def test_a_start_that_nobody_waits_for_any_more_is_undone(house: House):
    plan = house.plan("sleep", "60")
    starting = asyncio.create_task(house.spawner.launch(plan))
    await asyncio.sleep(0)

    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting

    assert not _exists(plan.directory)
    await _wait_for(lambda: _cgroups_of(plan.container_id) == [])


async def test_what_the_spec_names_may_appear_while_the_shim_is_on_its_way(house: House):
    ours, grant = _client()
    plan = house.plan("cat", "/etc/hostname", grants=[grant])
    source = house.directory / "late"
    plan.spec["mounts"].append(
        {"destination": "/etc/hostname", "type": "bind", "source": str(source), "options": ["bind"]}
    )

    async def make() -> None:
        await asyncio.sleep(0.2)
        source.write_text("late, but there\n")

    shim = await house.spawner.launch(plan, meanwhile=make)
    house.shims.append(shim)

    assert (await _exit_of(shim)).exit_code == 0
    assert await _read_all(ours) == b"\1\0\0\0\0\0\0\x10late, but there\n"


async def test_what_cannot_be_made_meanwhile_undoes_the_start(house: House):
    plan = house.plan("true")

    async def fail() -> None:
        raise errors.Exhausted("no more addresses")

    with pytest.raises(errors.Exhausted, match="no more addresses"):
        await house.spawner.launch(plan, meanwhile=fail)

    assert not cgroups.detect().open(plan.cgroup_path).exists()
    assert list((house.directory / "shims").iterdir()) == []


async def test_a_killed_shim_is_reported(house: House):
    shim = await house.launch("sleep", "60")

    os.kill(shim.shim_pid, signal.SIGKILL)

    async with asyncio.timeout(5):
        events = [event async for event in shim.events()]
    assert events == [ShimLost(container_id=shim.container_id)]
    with pytest.raises(errors.Unavailable):
        await shim.kill(signal.SIGTERM)
    with pytest.raises(errors.Unavailable):
        await client.adopt(shim.container_id, str(house.directory / "shims" / shim.container_id))
    cgroup = cgroups.detect().open(f"/shimtests/{shim.container_id}")
    cgroup.kill()
    await _wait_for(lambda: not _is_alive(shim.pid))
    cgroup.remove()


async def test_fifty_launches_leak_nothing(house: House):
    async def one() -> int:
        ours, grant = _client()
        shim = await house.spawner.launch(house.plan("true", grants=[grant]))
        await _exit_of(shim)
        await shim.close()
        ours.close()
        return shim.shim_pid

    await one()
    await asyncio.sleep(0.3)  # the spawner keeps spare shims, and a descriptor for each
    ours = len(os.listdir("/proc/self/fd"))
    theirs = len(os.listdir(f"/proc/{house.spawner.pid}/fd"))

    shims = [pid for _ in range(5) for pid in await asyncio.gather(*(one() for _ in range(10)))]

    await _wait_for(lambda: not any(_is_alive(pid) for pid in shims))
    assert len(os.listdir("/proc/self/fd")) == ours
    await _wait_for(lambda: len(os.listdir(f"/proc/{house.spawner.pid}/fd")) == theirs)
    assert list((house.directory / "shims").iterdir()) == []


async def test_a_shim_keeps_no_descriptor_of_an_ended_exec(house: House):
    shim = await house.launch("sleep", "60")
    events = shim.events()

    async def one(name: str) -> None:
        ours, grant = _client()
        await shim.exec(name, _process("true"), open_stdin=True, grants=[grant])
        await anext(events)
        await _read_all(ours)

    await one("first")
    before = len(os.listdir(f"/proc/{shim.shim_pid}/fd"))
    for number in range(10):
        await one(str(number))

    await _wait_for(lambda: len(os.listdir(f"/proc/{shim.shim_pid}/fd")) <= before)


async def test_an_idle_shim_is_smaller_than_containerds_and_holds_few_descriptors(house: House):
    shim = await house.launch("sleep", "60")

    rollup = dict(line.split(":") for line in _read(f"/proc/{shim.shim_pid}/smaps_rollup").splitlines()[1:])

    assert int(rollup["Private_Dirty"].split()[0]) < 2400
    assert len(os.listdir(f"/proc/{shim.shim_pid}/fd")) <= 16


async def test_orphans_are_reaped(house: House):
    shim = await house.launch("sleep", "60")

    await shim.exec("a", _process("sh", "-c", "(sleep 0.1 &) ; exit 0"))
    await asyncio.sleep(0.4)

    assert _children(shim.shim_pid) == [str(shim.pid)]


async def test_a_process_that_is_not_root_may_open_its_stdout_again(house: House):
    shim = await house.launch("sh", "-c", "echo again > /proc/self/fd/1", uid=1000)

    assert (await _exit_of(shim)).exit_code == 0
    assert _log(house, shim)[0]["log"] == "again\n"


async def test_signals_are_not_ignored_in_the_container(house: House):
    shim = await house.launch("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status")

    await _exit_of(shim)

    assert [entry["log"].split()[1] for entry in _log(house, shim)] == ["0" * 16, "0" * 16]


@pytest.mark.parametrize("program", ["runc", "crun"])
async def test_a_foreign_runtime_does_the_same(house: House, program: str):
    ours, grant = _client(stdin=True, framed=False, close_stdin_once=True)
    shim = await house.launch("sh", "-c", "cat; exit 5", open_stdin=True, grants=[grant], runtime=(program,))
    console, console_grant = _client(framed=False)

    await shim.exec("a", _process("sh", "-c", "tty; exit 3", tty=True), tty=True, grants=[console_grant])
    event = await anext(shim.events())
    ours.sendall(b"hello")
    ours.shutdown(socket.SHUT_WR)

    assert isinstance(event, Exited)
    assert (event.exec_id, event.exit_code) == ("a", 3)
    assert b"/dev/pts/0" in await _read_all(console)
    assert await _read_all(ours) == b"hello"
    assert (await _exit_of(shim)).exit_code == 5
    with pytest.raises(StartError, match="nosuch"):
        await house.launch("nosuch", runtime=(program,))


@pytest.mark.parametrize("runtime", [(), ("runc",)])
async def test_a_log_that_cannot_be_opened_is_told_and_nothing_is_left(
    house: House, tmp_path: Path, runtime: tuple[str, ...]
):
    plan = house.plan("sleep", "60", runtime=runtime)
    plan = dataclasses.replace(plan, log=LogTarget(path=str(tmp_path / "nowhere" / "log")))

    with pytest.raises(errors.HoldfastError, match="failed to initialize logging driver"):
        await house.spawner.launch(plan)

    assert _left_of(plan) == []


async def test_a_foreign_runtimes_own_arguments_come_first(house: House, tmp_path: Path):
    program, said = tmp_path / "runtime", tmp_path / "said"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$1" "$2" >>{said}; shift 2; exec crun "$@"\n')
    program.chmod(0o755)

    shim = await house.launch("true", runtime=(str(program), "--loud", "two words"))

    assert (await _exit_of(shim)).exit_code == 0
    assert said.read_text().startswith("--loud|two words|")
