# SPDX-License-Identifier: Apache-2.0
"""A real holdfastd in a network namespace of its own, with one small image made from this machine's busybox."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

MAIN = "import sys; from holdfast.daemon.main import main; sys.exit(main())"
IMAGE = "story:1"
BUSYBOX = shutil.which("busybox")


class Daemon:
    """One holdfastd, which can be killed and started again on the same state."""

    def __init__(self, root: Path, netns: str) -> None:
        self.root, self.netns = root, netns
        self.socket = root / "d.sock"
        (root / "daemon.json").write_text("{}")
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Starts it; returns the seconds until its first answer."""
        began = time.monotonic()
        self.process = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.netns}", sys.executable, "-c", MAIN, "-H", f"unix://{self.socket}",
             "--data-root", str(self.root / "data"), "--exec-root", str(self.root / "exec"),
             "--pidfile", str(self.root / "pid"), "--config-file", str(self.root / "daemon.json")],
            stdin=subprocess.DEVNULL,
            stderr=(self.root / "log").open("ab"),
        )  # fmt: skip
        while self.docker("version").returncode != 0:
            assert self.process.poll() is None, (self.root / "log").read_text()
            assert time.monotonic() - began < 30, (self.root / "log").read_text()
            time.sleep(0.02)
        return time.monotonic() - began

    def end(self, number: int = signal.SIGTERM) -> None:
        """Sends it a signal and waits for its end."""
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(20)

    def docker(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """The docker CLI against it."""
        return subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.netns}", "docker", *words],
            env={**os.environ, "DOCKER_HOST": f"unix://{self.socket}"},
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def out(self, *words: str, stdin: str | None = None) -> str:
        """What a command that must succeed prints, without the last newline."""
        done = self.docker(*words, stdin=stdin)
        assert done.returncode == 0, (words, done.stderr, (self.root / "log").read_text()[-3000:])
        return done.stdout.rstrip("\n")

    def inspect(self, name: str) -> dict[str, object]:
        """One container's document."""
        return json.loads(self.out("inspect", name))[0]

    def leftovers(self) -> dict[str, list[str]]:
        """What is left of containers on the host: namespaces, shims, directories, snapshots, devices, cgroups."""
        known = set(self.out("ps", "-aq", "--no-trunc").split())
        links = subprocess.run(
            ["nsenter", f"--net=/run/netns/{self.netns}", "ip", "-br", "link"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        return {
            "netns": sorted(os.listdir(self.root / "exec/netns")),
            "shims": sorted(os.listdir(self.root / "exec/shims")) if (self.root / "exec/shims").is_dir() else [],
            "directories": sorted(set(os.listdir(self.root / "data/containers")) - known),
            "veths": [line for line in links.splitlines() if line.startswith("veth")],
            "mounts": [
                line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(self.root) in line
            ],
        }


def _image() -> bytes:
    """A root file system tar: busybox and its links, passwd, group."""
    assert BUSYBOX is not None
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "root"):
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(entry)
        tar.add(BUSYBOX, "bin/busybox")
        for applet in ("sh", "cat", "echo", "sleep", "id", "true", "env", "hostname", "wc", "grep", "stty", "kill"):
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(entry)
        for name, text in (("passwd", "root:x:0:0::/root:/bin/sh\napp:x:7:8::/:/bin/sh\n"), ("group", "root:x:0:\n")):
            data = text.encode()
            entry = tarfile.TarInfo(f"etc/{name}")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all stories of this process."""
    assert os.geteuid() == 0, "the stories need root"
    assert BUSYBOX is not None, "the stories need a static busybox"
    assert shutil.which("docker") is not None, "the stories need the docker CLI"
    netns = f"story-{uuid.uuid4().hex[:8]}"
    root = tmp_path_factory.mktemp("story")
    subprocess.run(["ip", "netns", "add", netns], check=True)
    subprocess.run(["nsenter", f"--net=/run/netns/{netns}", "ip", "link", "set", "lo", "up"], check=True)
    made = Daemon(root, netns)
    try:
        made.start()
        (root / "rootfs.tar").write_bytes(_image())
        made.out("import", str(root / "rootfs.tar"), IMAGE)
        yield made
        ids = made.out("ps", "-aq").split()
        if ids:
            made.docker("rm", "-f", *ids)
    finally:
        with contextlib.suppress(AssertionError, subprocess.TimeoutExpired):
            made.end()
        subprocess.run(["ip", "netns", "del", netns], check=True)
