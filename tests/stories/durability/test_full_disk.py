# SPDX-License-Identifier: Apache-2.0
"""A data root without a free byte: clear errors, no container lost, a restart that lists them, and room made by rm."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

IMAGE = "story:1"
MEBIBYTE = 1 << 20


def eventually(claim: Callable[[], Any], seconds: float = 15.0) -> Any:
    """Waits until the claim holds, and fails when it never does."""
    deadline = time.monotonic() + seconds
    while not (value := claim()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert value
    return value


class Disk:
    """A small tmpfs, seen at one path in a mount namespace that a sleeper keeps."""

    def __init__(self, point: Path, mebibytes: int) -> None:
        point.mkdir(parents=True)
        self.point = point
        script = f"mount -t tmpfs -o size={mebibytes}m,mode=700 full {point} && echo ready && exec sleep 100000"
        self.keeper = subprocess.Popen(
            ["unshare", "-m", "--propagation", "private", "sh", "-c", script], stdout=subprocess.PIPE
        )
        assert self.keeper.stdout is not None
        assert self.keeper.stdout.readline() == b"ready\n"

    @property
    def wrap(self) -> list[str]:
        """What starts a program that sees the disk."""
        return ["nsenter", f"--mount=/proc/{self.keeper.pid}/ns/mnt"]

    @property
    def inside(self) -> Path:
        """The disk for who does not live in the namespace."""
        return Path(f"/proc/{self.keeper.pid}/root{self.point}")

    def fill(self) -> None:
        """Takes every free block."""
        with open(self.inside / "ballast", "ab", buffering=0) as file:
            for size in (MEBIBYTE, 65536, 4096):
                try:
                    while file.write(b"\1" * size) == size:
                        pass
                except OSError:
                    continue

    def make_room(self) -> None:
        """Gives them back."""
        (self.inside / "ballast").unlink()


@pytest.fixture
def small(make_daemon: Any) -> Iterator[tuple[Any, Disk]]:
    """A daemon with a data root of 60 MB, which holds the image and a running container."""
    daemon = make_daemon(start=False)
    disk = Disk(daemon.data, 60)
    daemon.wrap = tuple(disk.wrap)
    try:
        daemon.start()
        yield daemon, disk
    finally:
        daemon.destroy()
        disk.keeper.send_signal(signal.SIGKILL)
        disk.keeper.wait()
        disk.keeper.stdout.close()  # type: ignore[union-attr]


def refused(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode != 0 and "no space left" in done.stderr.lower() and "Traceback" not in done.stderr


def test_a_full_disk_loses_no_container_and_goes_on_with_room(small: Any, rootfs_tar: Path, tmp_path: Path) -> None:
    daemon, disk = small
    daemon.out("import", str(rootfs_tar), IMAGE)
    archive = tmp_path / "image.tar"
    daemon.out("save", "-o", str(archive), IMAGE)
    script = "n=0; while :; do n=$((n+1)); echo $n; usleep 20000; done"
    daemon.out("run", "-d", "--name", "talks", IMAGE, "sh", "-c", script)
    daemon.out("create", "--name", "waits", IMAGE, "echo", "hello")
    daemon.out("run", "-d", "--name", "ends", IMAGE, "sh", "-c", "sleep 2; exit 6")
    pid = daemon.pid_of("talks")
    disk.fill()

    assert refused(daemon.docker("create", IMAGE, "true"))
    assert refused(daemon.docker("import", str(rootfs_tar), "other:1"))
    assert "no space left" in daemon.docker("exec", "talks", "sh", "-c", "echo x > /file").stderr.lower()
    assert daemon.out("exec", "talks", "echo", "lives") == "lives"
    eventually(lambda: daemon.inspect("ends")["State"]["Status"] == "exited")
    assert daemon.inspect("ends")["State"]["ExitCode"] == 6

    daemon.kill()
    daemon.start()

    assert daemon.pid_of("talks") == pid
    assert set(daemon.out("ps", "-a", "--format", "{{.Names}}").split()) == {"talks", "waits", "ends"}
    assert daemon.inspect("ends")["State"]["ExitCode"] == 6
    assert daemon.docker("stop", "-t", "0", "talks").returncode == 0, daemon.tail()
    assert daemon.docker("rm", "-f", "talks").returncode == 0, daemon.tail()

    disk.make_room()
    assert daemon.out("start", "-a", "waits") == "hello"
    assert daemon.out("run", "--rm", IMAGE, "echo", "room") == "room"
    assert daemon.docker("load", "-i", str(archive)).returncode == 0
    daemon.remove_all()
    assert daemon.tracebacks() == ""


def test_a_log_that_fills_the_disk_stops_neither_container_nor_daemon(small: Any, rootfs_tar: Path) -> None:
    daemon, disk = small
    daemon.out("import", str(rootfs_tar), IMAGE)
    script = (
        "yes a line that fills the disk of whoever keeps it | head -c 90000000; echo over > /dev/shm/done; sleep 300"
    )
    daemon.out("run", "-d", "--name", "fills", IMAGE, "sh", "-c", script)

    eventually(lambda: daemon.docker("exec", "fills", "cat", "/dev/shm/done").stdout == "over\n", 30)

    assert daemon.inspect("fills")["State"]["Running"]
    assert daemon.rss(daemon.shim_of("fills")) < 24 * MEBIBYTE
    assert daemon.log.stat().st_size < MEBIBYTE
    daemon.restart()
    assert daemon.inspect("fills")["State"]["Running"]
    assert daemon.docker("rm", "-f", "fills").returncode == 0, daemon.tail()
    assert os.statvfs(disk.inside).f_bavail * os.statvfs(disk.inside).f_bsize > 20 * MEBIBYTE or eventually(
        lambda: os.statvfs(disk.inside).f_bavail * os.statvfs(disk.inside).f_bsize > 20 * MEBIBYTE
    )
    assert daemon.out("run", "--rm", IMAGE, "echo", "room") == "room"


def test_an_exit_that_cannot_be_written_down_is_told_and_written_later(small: Any, rootfs_tar: Path) -> None:
    daemon, disk = small
    daemon.out("import", str(rootfs_tar), IMAGE)
    daemon.out("run", "-d", "--name", "ends", IMAGE, "sh", "-c", "sleep 1.5; exit 6")
    (disk.inside / "metadata.db.reserve").unlink()
    disk.fill()

    assert daemon.out("wait", "ends") == "6"
    assert daemon.inspect("ends")["State"]["ExitCode"] == 6
    daemon.restart()
    assert daemon.inspect("ends")["State"]["ExitCode"] == 6
    disk.make_room()
    eventually(lambda: not (daemon.exec / "shims" / daemon.inspect("ends")["Id"]).exists())
    daemon.restart()

    assert daemon.inspect("ends")["State"]["ExitCode"] == 6
    assert daemon.docker("start", "-a", "ends").returncode == 6
