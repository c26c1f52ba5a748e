# SPDX-License-Identifier: Apache-2.0
"""Walks in a foreign tree: whatever its links say, they end inside, and what is made is made there."""

import errno
import os
from pathlib import Path

import pytest

from holdfast.kernel import paths


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "etc").mkdir(parents=True)
    (root / "etc/name").write_text("inside")
    (root / "absolute").symlink_to("/etc")
    (root / "climbing").symlink_to("../../../../../../etc")
    (root / "dangling").symlink_to("/new/place")
    (root / "etc/relative").symlink_to("../made/../other")
    (root / "loop").symlink_to("loop")
    (root / "magic").symlink_to("/proc/self/root")
    return root


@pytest.fixture
def root_fd(tree):
    fd = paths.open_root(str(tree))
    yield fd
    os.close(fd)


def named(fd: int, tree: Path) -> str:
    try:
        return "/" + os.path.relpath(os.readlink(f"/proc/self/fd/{fd}"), tree).lstrip(".")
    finally:
        os.close(fd)


@pytest.mark.parametrize("path", ["/etc/name", "etc/name", "absolute/name", "climbing/name", "../../etc/name"])
def test_links_and_dots_end_inside(root_fd, path):
    assert paths.read_file(root_fd, path, 100) == b"inside"


def test_beneath_refuses_instead_of_bending(root_fd):
    for path in ("climbing/name", "absolute/name", "../x"):
        with pytest.raises(OSError) as refused:
            paths.openat2(root_fd, path, os.O_PATH, resolve=paths.BENEATH)
        assert refused.value.errno == errno.EXDEV


@pytest.mark.parametrize(
    ("path", "made"),
    [
        ("/a/b/c", "/a/b/c"),
        ("absolute/x/y", "/etc/x/y"),
        ("climbing/z", "/etc/z"),
        ("dangling/deep", "/new/place/deep"),
        ("etc/relative/q", "/other/q"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_directories_are_made_inside(tree, root_fd, path, made):
    assert named(paths.make_directories(root_fd, path), tree) == made


@pytest.mark.parametrize(
    ("path", "made"), [("new/file", "/new/file"), ("dangling", "/new/place"), ("etc/name", "/etc/name")]
)
def test_files_are_made_inside(tree, root_fd, path, made):
    assert named(paths.make_file(root_fd, path), tree) == made


@pytest.mark.parametrize(
    ("path", "number"), [("loop/x", errno.ELOOP), ("etc/name/x", errno.ENOTDIR), ("a\0b", errno.EINVAL)]
)
def test_what_cannot_be_walked_is_an_error_and_leaks_nothing(root_fd, path, number):
    before = len(os.listdir("/proc/self/fd"))

    with pytest.raises(OSError) as refused:
        paths.make_directories(root_fd, path)

    assert refused.value.errno == number
    assert len(os.listdir("/proc/self/fd")) == before


def test_reading_has_a_limit_and_takes_files_only(tree, root_fd):
    os.mkfifo(tree / "fifo")

    with pytest.raises(OSError) as too_big:
        paths.read_file(root_fd, "etc/name", 5)
    with pytest.raises(OSError) as no_file:
        paths.read_file(root_fd, "fifo", 5)

    assert too_big.value.errno == errno.EFBIG
    assert no_file.value.errno == errno.EINVAL


def test_magic_links_are_refused():
    proc_fd = paths.open_root("/proc")

    with pytest.raises(OSError) as refused:
        paths.openat2(proc_fd, "self/root/etc", os.O_PATH)

    os.close(proc_fd)
    assert refused.value.errno == errno.ELOOP
