# SPDX-License-Identifier: Apache-2.0
"""A holdfastd that may be hurt: own network namespace, roots and control groups, and an exact list of what it leaves.

`keeper` is one daemon per test module of a worker process; `make_daemon` makes more, with flags or a full disk. Every test
ends with `daemon.leftovers() == {}`.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

MAIN = "import sys; from holdfast.daemon.main import main; sys.exit(main())"
IMAGE = "story:1"
_COMPANIONS = ("hold-dns", "hold-relay")
BUSYBOX = shutil.which("busybox")
CGROUPS = Path("/sys/fs/cgroup")
Leftovers = dict[str, list[str]]


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("d", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Daemon:
    """One holdfastd below a directory; it can be killed and started again on the same state."""

    def __init__(self, root: Path, netns: str, *, wrap: Sequence[str] = (), flags: Sequence[str] = ()) -> None:
        self.root, self.netns, self.wrap, self.flags = root, netns, tuple(wrap), tuple(flags)
        self.parent = f"hf-{uuid.uuid4().hex[:12]}"  # the control group above all its containers
        self.data, self.exec, self.socket, self.log = root / "data", root / "exec", root / "d.sock", root / "log"
        self.process: subprocess.Popen[bytes] | None = None
        self.spawned: set[int] = set()
        self.known_layers: set[str] = set()

    # -- the process

    def command(self) -> list[str]:
        """What starts it."""
        return [
            "nsenter", f"--net=/run/netns/{self.netns}", *self.wrap, sys.executable, "-c", MAIN,
            "-H", f"unix://{self.socket}", "--data-root", str(self.data), "--exec-root", str(self.exec),
            "--pidfile", str(self.root / "pid"), "--config-file", str(self.root / "daemon.json"),
            "--cgroup-parent", self.parent, *self.flags,
        ]  # fmt: skip

    def start(self) -> float:
        """Starts it; returns the seconds until its first answer."""
        (self.root / "daemon.json").touch()
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while not self._answers():
            assert self.process.poll() is None, self.tail()
            assert time.monotonic() - began < 30, self.tail()
            time.sleep(0.005)
        return time.monotonic() - began

    def _answers(self) -> bool:
        try:
            return self.api("GET", "/_ping", timeout=10)[0] == 200
        except OSError:
            return False

    @property
    def pid(self) -> int:
        """holdfastd's own pid: nsenter and its wrappers execute into it."""
        return int((self.root / "pid").read_text())

    @property
    def spawner_pid(self) -> int:
        """The fork server's."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:  # it takes its name when it is ready
            for pid in _children(self.pid):
                if _comm(pid) == "hold-spawner":
                    return pid
            time.sleep(0.01)
        raise AssertionError("no spawner")

    def kill(self) -> None:
        """kill -9."""
        assert self.process is not None
        os.kill(self.pid, signal.SIGKILL)
        self.process.wait(20)

    def restart(self) -> float:
        """kill -9 and a new one; the seconds until its first answer."""
        self.kill()
        return self.start()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self.process is not None
        os.kill(self.pid, signal.SIGTERM)
        return self.process.wait(20)

    def tail(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-4000:]

    def tracebacks(self) -> str:
        """What its log says around each traceback; empty when there is none."""
        text = self.log.read_text(errors="replace")
        return "\n...\n".join(
            text[max(0, found.start() - 500) : found.start() + 3000] for found in re.finditer("Traceback", text)
        )

    # -- talking to it

    def docker_command(self, *words: str) -> list[str]:
        """The docker CLI in the daemon's network namespace."""
        return ["nsenter", f"--net=/run/netns/{self.netns}", "docker", "-H", f"unix://{self.socket}", *words]

    def docker(self, *words: str, stdin: str | None = None, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        """Runs the docker CLI to its end."""
        return subprocess.run(
            self.docker_command(*words),
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
        )

    def out(self, *words: str, stdin: str | None = None) -> str:
        """What a command that must succeed prints, without the last newline."""
        done = self.docker(*words, stdin=stdin)
        assert done.returncode == 0, (words, done.stderr, self.tail())
        return done.stdout.rstrip("\n")

    def api(self, method: str, path: str, body: Any = None, *, timeout: float = 60) -> tuple[int, bytes]:
        """One request without a CLI; status and body."""
        connection = _UnixConnection(self.socket, timeout)
        data = None if body is None else json.dumps(body)
        with contextlib.closing(connection):
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            return response.status, response.read()

    def inspect(self, name: str) -> dict[str, Any]:
        """One container's document."""
        return json.loads(self.out("inspect", "--type=container", name))[0]

    def pid_of(self, name: str) -> int:
        """The host pid of a container's init."""
        return int(self.inspect(name)["State"]["Pid"])

    def shim_of(self, name: str) -> int:
        """The host pid of a container's shim."""
        return _parent(self.pid_of(name))

    def in_netns(self, *words: str, timeout: float = 20) -> subprocess.CompletedProcess[str]:
        """Runs a program beside the daemon."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.netns}", *words],
            capture_output=True, text=True, timeout=timeout, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def fetch(self, port: int, host: str = "127.0.0.1") -> str:
        """what a published port says; empty when nobody answers."""
        return self.in_netns("curl", "-s", "-m", "3", f"http://{host}:{port}/").stdout

    # -- what is left

    def remember_layers(self) -> None:
        """What lies in the layer store now belongs to images."""
        self.known_layers = set(_names(self.data / "overlay2")) | set(_names(self.data / "overlay2/l"))

    def fds(self) -> dict[str, int]:
        """How many descriptors daemon and spawner hold."""
        pids = {"daemon": self.pid, "spawner": self.spawner_pid}
        return {name: len(os.listdir(f"/proc/{pid}/fd")) for name, pid in pids.items()}

    def rss(self, pid: int) -> int:
        """Resident memory in bytes."""
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def containers(self) -> list[str]:
        """The ids that the daemon knows."""
        return [each["Id"] for each in json.loads(self.api("GET", "/containers/json?all=1")[1])]

    def remove_all(self) -> None:
        """rm -f of everything; each must succeed."""
        for container_id in self.containers():
            status, body = self.api("DELETE", f"/containers/{container_id}?force=1&v=1")
            assert status in (204, 404) or b"already in progress" in body, (container_id, status, body, self.tail())

    def leftovers(self, seconds: float = 15.0) -> Leftovers:
        """What containers that are gone have left on the host, after a patience for what goes in the background."""
        deadline = time.monotonic() + seconds
        while (found := self._leftovers()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _leftovers(self) -> Leftovers:
        known = set(self.containers())
        layers = set(_names(self.data / "overlay2")) | set(_names(self.data / "overlay2/l"))
        links = {_link(self.data / "overlay2" / each) for each in known}
        found: Leftovers = {
            "netns files": [] if known else _names(self.exec / "netns"),
            "sandboxes": [n for n in _names(self.exec / "networks/sandboxes") if n.partition(".")[0] not in known],
            "shim directories": [name for name in _names(self.exec / "shims") if name not in known],
            "container directories": [name for name in _names(self.data / "containers") if name not in known],
            "layers": sorted(layers - self.known_layers - known - links),
            "volumes": [] if known else _names(self.data / "volumes"),
            "half-received blobs": _names(self.data / "content/ingest"),
            "control groups": [group for group in self.groups() if group.name not in known],
            "processes": [] if known else self.strangers(),
            "zombies": [str(pid) for pid in self._zombies()],
            "veths": [] if known else self._veths(),
            "ports": [] if known else self._published(),
            "mounts": self.mounts(),
        }  # type: ignore[dict-item]
        return {what: [str(each) for each in those] for what, those in found.items() if those}

    def groups(self) -> list[Path]:
        """The control groups of containers, of every controller."""
        return [
            group
            for parent in [*CGROUPS.glob(f"*/{self.parent}"), *CGROUPS.glob(self.parent)]
            for group in parent.iterdir()
            if group.is_dir()
        ]

    def strangers(self) -> list[str]:
        """Shims and whatever else lives in the daemon's network namespace, as `pid name`.

        A living daemon may have one resolver and one relay, which it may have found.
        """
        mine = os.stat(f"/run/netns/{self.netns}").st_ino
        found: list[str] = []
        own = set[int]()
        companions: list[str] = []
        if self.process and self.process.poll() is None:
            own = {self.pid, *[child for child in _children(self.pid) if _comm(child) not in _COMPANIONS]}
            companions += _COMPANIONS
            for spare in _children(self.spawner_pid):  # forked ahead, for the next container
                own |= {spare, *_children(spare)} if _comm(spare) == "hold-spare" else set()
        for name in os.listdir("/proc"):
            if name.isdigit() and int(name) not in own:
                with contextlib.suppress(OSError):
                    comm = _comm(int(name))
                    if os.stat(f"/proc/{name}/ns/net").st_ino == mine and comm.startswith("hold-"):
                        if comm in companions:
                            companions.remove(comm)
                        else:
                            found.append(f"{name} {comm}")
        return found

    def _zombies(self) -> list[int]:
        return [pid for parent in (self.pid, self.spawner_pid) for pid in _children(parent) if _stat(pid)[0] == "Z"]

    def _veths(self) -> list[str]:
        lines = self.in_netns("ip", "-br", "link").stdout.splitlines()
        return [line.split()[0] for line in lines if line.startswith("veth")]

    def _published(self) -> list[str]:
        found: list[str] = []
        for name in ("ports", "ports_any"):
            listed = self.in_netns("nft", "-j", "list", "map", "inet", "holdfast", name)
            for entry in json.loads(listed.stdout)["nftables"] if listed.returncode == 0 else ():
                found += [str(element) for element in entry.get("map", {}).get("elem", ())]
        return found

    def mounts(self) -> list[str]:
        """Mounts below its roots that the host, the daemon or the spawner see, except a private data root's own."""
        found: set[str] = set()
        for pid in ("self", self.pid, self.spawner_pid):
            for line in Path(f"/proc/{pid}/mountinfo").read_text().splitlines():
                point = line.split()[4]
                if point.startswith(f"{self.root}/") and Path(point) != self.data:
                    found.add(point)
        netns = {str(self.exec / "netns" / name) for name in _names(self.exec / "netns")}
        return sorted(found - netns)

    def destroy(self) -> None:
        """Ends the daemon and everything that it left, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            with contextlib.suppress(AssertionError, OSError, ValueError):
                self.remove_all()
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for text in self.strangers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(text.split()[0]), signal.SIGKILL)
        for group in self.groups():
            with contextlib.suppress(OSError):
                for pid in (group / "cgroup.procs").read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
        for name in _names(self.exec / "netns"):
            subprocess.run(["umount", "-l", str(self.exec / "netns" / name)], check=False, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 3
        while any(_removed(group) is False for group in self.groups()) and time.monotonic() < deadline:
            time.sleep(0.02)
        for parent in [*CGROUPS.glob(f"*/{self.parent}"), *CGROUPS.glob(self.parent)]:
            _removed(parent)


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except FileNotFoundError:
        return []


def _link(snapshot: Path) -> str:
    try:
        return (snapshot / "link").read_text().strip()
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ["gone", "0"]


def _parent(pid: int) -> int:
    return int(_stat(pid)[1])


def _children(pid: int) -> list[int]:
    try:
        return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def make_image() -> bytes:
    """A root file system tar: busybox with all its applets, passwd, group."""
    assert BUSYBOX is not None
    applets = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "root", "dev", "proc", "sys"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(BUSYBOX, "bin/busybox")
        for applet in sorted({*applets} - {"busybox"}):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\napp:x:7:8::/:/bin/sh\n"), ("group", "root:x:0:\n")):
            data = text.encode()
            entry = tarfile.TarInfo(f"etc/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


MakeDaemon = Callable[..., Daemon]


@pytest.fixture(scope="session")
def rootfs_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's archive, made once."""
    assert BUSYBOX is not None, "busybox is missing: scripts/setup dev installs busybox-static"
    made = tmp_path_factory.mktemp("image") / "rootfs.tar"
    made.write_bytes(make_image())
    return made


@contextlib.contextmanager
def _daemons(tmp_path_factory: pytest.TempPathFactory, rootfs_tar: Path) -> Iterator[MakeDaemon]:
    made: list[Daemon] = []

    def make(*, start: bool = True, **wishes: Any) -> Daemon:
        netns = f"story-{uuid.uuid4().hex[:10]}"
        subprocess.run(["ip", "netns", "add", netns], check=True)
        subprocess.run(["nsenter", f"--net=/run/netns/{netns}", "ip", "link", "set", "lo", "up"], check=True)
        daemon = Daemon(tmp_path_factory.mktemp("d"), netns, **wishes)
        made.append(daemon)
        if start:
            daemon.start()
            daemon.out("import", str(rootfs_tar), IMAGE)
            daemon.remember_layers()
        return daemon

    try:
        yield make
    finally:
        for daemon in made:
            daemon.destroy()
            subprocess.run(["ip", "netns", "del", daemon.netns], check=True)
            shutil.rmtree(daemon.root, ignore_errors=True)


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory, rootfs_tar: Path) -> Iterator[Daemon]:
    """One daemon for the tests of a module; each leaves it running and empty."""
    with _daemons(tmp_path_factory, rootfs_tar) as make:
        yield make()


@pytest.fixture
def make_daemon(tmp_path_factory: pytest.TempPathFactory, rootfs_tar: Path) -> Iterator[MakeDaemon]:
    """Makes daemons of a test's own: `make_daemon(flags=[...], wrap=[...], start=False)`."""
    with _daemons(tmp_path_factory, rootfs_tar) as make:
        yield make


@pytest.fixture
def daemon(keeper: Daemon) -> Iterator[Daemon]:
    """The module's daemon, running, without containers; and without leftovers when the test is over."""
    if keeper.process is None or keeper.process.poll() is not None:
        keeper.start()
    yield keeper
    keeper.remove_all()
    assert keeper.leftovers() == {}, keeper.tail()
