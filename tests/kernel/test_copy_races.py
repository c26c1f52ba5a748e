# SPDX-License-Identifier: Apache-2.0
"""docker cp against a container that renames meanwhile: CVE-2018-15664, GHSA-vp62-88p7-qqf5, GHSA-rg2x-37c3-w2rh.

A process exchanges a directory with a link to a canary outside, as fast as it can, while files are copied out, copied
in, and volumes are mounted for a copy. Nothing of the canary may come out, nothing may come in, nothing stays mounted.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import tarfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from holdfast.containers import path_stat
from holdfast.errors import HoldfastError
from holdfast.kernel import mount, mount_view, paths, syscalls
from holdfast.kernel.mount_view import Attachment
from holdfast.snapshots import diff, upload

ROUNDS = 100
PATIENCE_SECONDS = 5.0
SECRET = b"the canary's secret"
RENAME_EXCHANGE = 2
AT_FDCWD = -100


class Place:
    def __init__(self, tmp_path: Path) -> None:
        self.canary, self.root, self.volume = tmp_path / "canary", tmp_path / "root", tmp_path / "volume"
        (self.canary / "sub").mkdir(parents=True)
        (self.canary / "sub/secret").write_bytes(SECRET)
        (self.root / "a/b/sub").mkdir(parents=True)
        (self.root / "a/b/sub/secret").write_bytes(b"the container's own")
        (self.root / "a/link").symlink_to(self.canary)
        self.volume.mkdir()
        (self.volume / "in-volume").write_text("x")

    def assert_untouched(self) -> None:
        assert sorted(os.listdir(self.canary)) == ["sub"]
        assert os.listdir(self.canary / "sub") == ["secret"]
        assert (self.canary / "sub/secret").read_bytes() == SECRET
        assert (self.canary / "sub/secret").stat().st_nlink == 1


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    with exchanging(made.root / "a/b", made.root / "a/link"):
        yield made
    made.assert_untouched()


@contextlib.contextmanager
def exchanging(first: Path, second: Path) -> Generator[None]:
    """Another process that swaps two names all the time."""
    names = os.fsencode(first), os.fsencode(second)
    pid = os.fork()
    if pid == 0:
        while os.getppid() != 1:
            syscalls.call(syscalls.RENAMEAT2, AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE)
        os._exit(0)
    time.sleep(0.02)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def mounts_of(folder: Path) -> list[str]:
    """The mounts of this process's namespace that have to do with the folder."""
    return [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if str(folder) in line]


def archive() -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name in ("b/sub/evil", "b/evil", "b/sub/deeper/evil"):
            tar.addfile(tarfile.TarInfo(name))
        node = tarfile.TarInfo("b/sub/fifo")
        node.type, node.mode = tarfile.FIFOTYPE, 0o777
        tar.addfile(node)
    data.seek(0)
    return data


@pytest.mark.parametrize("path", ["/a/b/sub/secret", "/a/b/sub", "/a", "/a/b/.", "/a/link/"])
def test_nothing_of_the_canary_comes_out(place: Place, path: str) -> None:
    root_fd = paths.open_root(place.root)
    came = 0
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while came < ROUNDS and time.monotonic() < deadline:
            target = io.BytesIO()
            with contextlib.suppress(OSError), path_stat.found(root_fd, path) as found:
                diff.write_place(found.directory_fd, found.name, b"x", target)
                came += 1
            assert SECRET not in target.getvalue()
    finally:
        os.close(root_fd)
    assert came


def test_nothing_goes_in(place: Place) -> None:
    root_fd = paths.open_root(place.root)
    try:
        for number in range(ROUNDS):
            with contextlib.suppress(OSError, HoldfastError):
                upload.extract(root_fd, "/a" if number % 2 else "/a/b/..", archive())
    finally:
        os.close(root_fd)


def test_a_volume_is_mounted_inside_or_not_at_all(place: Place) -> None:
    seen = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while seen < ROUNDS and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            volume = Attachment(str(place.volume), "/a/b/sub/new", is_writable=True)
            with mount_view.open_view(lambda: mount.clone(str(place.root)), -1, [volume]) as view:
                fd = paths.openat2(view.root_fd, "/a/b/sub/new", os.O_RDONLY | os.O_DIRECTORY)
                seen += os.listdir(fd) == ["in-volume"]
                os.close(fd)
    assert seen
    assert mounts_of(place.root.parent) == []


def test_a_view_leaves_no_descriptor_and_no_mount(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "file").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    for writable in (True, False):
        attachments = [
            Attachment(str(tmp_path / "file"), "/etc/hosts", writable),
            Attachment(str(tmp_path), "/all", writable),
        ]
        with mount_view.open_view(lambda: mount.clone(str(tmp_path / "root")), -1, attachments) as view:
            assert paths.read_file(view.root_fd, "/all/file", 10) == b"x"
            if not writable:
                with pytest.raises(OSError, match="Read-only"):
                    paths.openat2(view.root_fd, "/etc/hosts", os.O_WRONLY)
            assert mounts_of(tmp_path) == []
    with pytest.raises(OSError, match="No such file"):
        mount_view.open_view(
            lambda: mount.clone(str(tmp_path / "root")), -1, [Attachment("/nosuch/place", "/x", is_writable=True)]
        )

    assert mounts_of(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_device_cannot_be_opened_through_a_view(tmp_path: Path) -> None:
    os.mknod(tmp_path / "null", 0o20666, os.makedev(1, 3))
    with mount_view.open_view(lambda: mount.clone(str(tmp_path)), -1, []) as view, pytest.raises(PermissionError):
        paths.openat2(view.root_fd, "/null", os.O_RDONLY)
