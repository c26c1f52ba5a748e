# SPDX-License-Identifier: Apache-2.0
"""A real dockerd and a holdfastd, each in a network namespace of its own, with the same images."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import flagged_daemons
import leftovers
import pytest

pytest.register_assert_rewrite("compat_case")
leftovers.clear_dead_runs()

REPOSITORY = Path(__file__).resolve().parents[2]
SHARED = REPOSITORY.parent / "shared"
# folder below shared/images, reference inside it, name to give it
IMAGES = (("busybox-1.37.0-musl", "busybox:1.37.0-musl", "busybox:1.37.0-musl"), ("alpine-3.20", "3.20", "alpine:3.20"))


class Daemon:
    """One daemon: how to run a shell script against it."""

    def __init__(self, name: str, socket: Path, netns: str) -> None:
        self.name, self.socket, self.netns = name, socket, netns

    def sh(self, script: str, timeout: float = 60, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Runs a script in the daemon's namespace with DOCKER_HOST set; never raises for its exit code."""
        environment = {**os.environ, "DOCKER_HOST": f"unix://{self.socket}", "LC_ALL": "C", "SOCKET": str(self.socket)}
        command = ["nsenter", f"--net=/run/netns/{self.netns}", "bash", "-c", script]
        return subprocess.run(
            command,
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
        )

    def objects(self) -> set[str]:
        """What it has, as `container ID`, `network ID` and `volume NAME`; without volumes that have no name of their own."""
        addresses = [f"http://d/{path}" for path in ("containers/json?all=1", "networks", "volumes")]
        command = ["curl", "-fs", "--unix-socket", self.socket, *addresses]
        listed = subprocess.run(command, check=True, capture_output=True).stdout
        containers, networks, volumes = map(json.loads, listed.splitlines())
        named = [each["Name"] for each in volumes["Volumes"] or []]
        found = {f"container {each['Id']}" for each in containers} | {f"network {each['Id']}" for each in networks}
        return found | {f"volume {name}" for name in named if not re.fullmatch("[0-9a-f]{64}", name)}

    def remove(self, objects: set[str]) -> None:
        """Removes what `objects` has named, whatever state it is in."""
        for each in sorted(objects):  # containers first: they hold the others
            kind, name = each.split()
            self.sh(f"docker {kind} rm -f {name}")


def _archives(folder: Path) -> list[Path]:
    made: list[Path] = []
    for directory, reference, name in IMAGES:
        archive = folder / f"{directory}.tar"
        layout = f"oci:{SHARED / 'images' / directory}:{reference}"
        subprocess.run(["skopeo", "copy", "-q", layout, f"docker-archive:{archive}:{name}"], check=True)
        made.append(archive)
    return made


@contextmanager
def _started_dockerd(name: str, programs: Path) -> Iterator[Daemon]:
    script = SHARED / "tools" / "peer-dockerd.sh"
    (programs / "docker-init").symlink_to(shutil.which("tini-static") or "/usr/bin/tini-static")
    environment = {**os.environ, "PATH": f"{os.environ['PATH']}:{programs}"}
    subprocess.run([script, "start", name], check=True, stdout=subprocess.DEVNULL, env=environment)
    daemon = Daemon("dockerd", Path("/var/tmp/peer-dockerd") / name / "docker.sock", name)
    try:
        yield daemon
    finally:
        subprocess.run([script, "stop", name], check=False, stderr=subprocess.DEVNULL)
        leftover = daemon.socket.parent / "exec/netns/default"
        subprocess.run(["umount", "-l", str(leftover)], check=False, stderr=subprocess.DEVNULL)
        shutil.rmtree(daemon.socket.parent, ignore_errors=True)


@pytest.fixture(scope="session")
def dockerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """The peer, from Debian's packages."""
    name = f"dockerd-{os.getpid()}"  # no part of our own namespace's name: the script looks for words
    with _started_dockerd(name, tmp_path_factory.mktemp("dockerd-programs")) as daemon:
        for archive in _archives(tmp_path_factory.mktemp("dockerd-images")):
            assert daemon.sh(f"docker load -i {archive}").returncode == 0
        yield daemon


@pytest.fixture
def spoilt_dockerd(tmp_path: Path) -> Iterator[Daemon]:
    """One more, without images, for what harms it: after a reload dockerd 28.5 knows no `host-gateway` any more."""
    with _started_dockerd(f"spoilt-{os.getpid()}", tmp_path) as daemon:
        yield daemon


@contextmanager
def started_holdfastd(name: str, home: Path, *flags: str, within: Sequence[str] = ()) -> Iterator[Daemon]:
    """A holdfastd from this checkout in a network namespace of its own; everything goes when the block ends.

    `within` is the beginning of a command line that starts the rest of it.
    """
    home.mkdir()
    subprocess.run(["ip", "netns", "add", name], check=True)
    inside = ["nsenter", f"--net=/run/netns/{name}"]
    # a new namespace has what the machine has, and another daemon may have made that a router
    subprocess.run([*inside, "sh", "-c", "ip link set lo up; echo 0 > /proc/sys/net/ipv4/ip_forward"], check=True)
    socket = home / "docker.sock"
    program = [
        sys.executable,
        "-m",
        "holdfast.daemon.main",
        "-H",
        f"unix://{socket}",
        "--data-root",
        str(home / "data"),
    ]
    program += ["--exec-root", str(home / "exec"), "--pidfile", str(home / "pid"), *flags]
    with open(home / "log", "wb") as log:
        process = subprocess.Popen([*inside, *within, *program], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    daemon = Daemon("holdfast", socket, name)
    try:
        deadline = time.monotonic() + 60
        while daemon.sh("docker version").returncode:
            assert process.poll() is None, (home / "log").read_text()[-3000:]
            assert time.monotonic() < deadline, (home / "log").read_text()[-3000:]
            time.sleep(0.05)
        yield daemon
        log = (home / "log").read_text()
        assert "Traceback" not in log, log[log.index("Traceback") - 300 :][:3000]
    finally:
        try:
            daemon.sh("docker ps -aq | xargs -r docker rm -f")
            process.terminate()
            process.wait(20)
        finally:
            leftovers.clear(home, name)
            process.wait(20)


@pytest.fixture(scope="session")
def holdfastd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Ours, with the same images; at the end its log must know no traceback."""
    name = f"hf-compat-{os.getpid()}"
    with started_holdfastd(name, Path("/var/tmp") / name, "-H", "tcp://127.0.0.1:2375") as daemon:
        for archive in _archives(tmp_path_factory.mktemp("holdfast-images")):
            loaded = daemon.sh(f"docker load -i {archive}")
            assert loaded.returncode == 0, loaded.stderr
        yield daemon


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A docker-archive of alpine:3.20."""
    return next(path for path in _archives(tmp_path_factory.mktemp("archive")) if "alpine" in path.name)


@pytest.fixture(scope="session")
def archives(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The docker-archives of all images by their names."""
    made = _archives(tmp_path_factory.mktemp("archives"))
    return {name: path for (_, _, name), path in zip(IMAGES, made, strict=True)}


@contextmanager
def started_registry(netns: str, folder: Path) -> Iterator[str]:
    """A docker-registry on the loopback of a namespace, with `library/thing:one` and `library/hello-world` in it."""
    if shutil.which("docker-registry") is None:
        subprocess.run(["apt-get", "install", "-y", "--no-install-recommends", "docker-registry"], check=True)
    address = "127.0.0.1:5001"
    configuration = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "registry")}},
        "http": {"addr": address},
    }
    (folder / "config.yml").write_text(json.dumps(configuration))  # JSON is YAML
    inside = ["nsenter", f"--net=/run/netns/{netns}"]
    process = subprocess.Popen(
        [*inside, "docker-registry", "serve", str(folder / "config.yml")],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        probe = [
            *inside,
            "curl",
            "-fs",
            "-o",
            "/dev/null",
            "--retry",
            "50",
            "--retry-delay",
            "0",
            "--retry-connrefused",
        ]
        subprocess.run([*probe, f"http://{address}/v2/"], check=True)
        for layout, reference, name in (
            ("busybox-1.37.0-musl", "busybox:1.37.0-musl", "thing:one"),
            ("hello-world", "", "hello-world:latest"),
        ):
            source = f"oci:{SHARED / 'images' / layout}" + (f":{reference}" if reference else "")
            push = ["skopeo", "copy", "-q", "--dest-tls-verify=false", source, f"docker://{address}/library/{name}"]
            subprocess.run([*inside, *push], check=True)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def registries(dockerd: Daemon, holdfastd: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same registry at the same address of both daemons' loopbacks."""
    with (
        started_registry(dockerd.netns, tmp_path_factory.mktemp("registry-of-dockerd")),
        started_registry(holdfastd.netns, tmp_path_factory.mktemp("registry-of-holdfast")) as address,
    ):
        yield address


@pytest.fixture(scope="session")
def daemon_type() -> type[Daemon]:
    """To make something of a daemon that the test started itself."""
    return Daemon


@pytest.fixture(scope="session")
def start_holdfastd() -> Callable[..., AbstractContextManager[Daemon]]:
    """To start one more daemon with flags of the test's own."""
    return started_holdfastd


@pytest.fixture(scope="session")
def start_both(
    dockerd: Daemon, archives: dict[str, Path]
) -> Callable[..., AbstractContextManager[tuple[Daemon, Daemon]]]:
    """To start one more of each with the same flags; the first peer has fetched its programs."""
    return partial(flagged_daemons.started_both, Daemon, started_holdfastd, archives)


@pytest.fixture(scope="session")
def start_registry() -> Callable[..., AbstractContextManager[str]]:
    """To start one more registry in a namespace."""
    return started_registry
