# SPDX-License-Identifier: Apache-2.0
"""Paths of docker cp: cleaned by text as Docker does, looked at below a root."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.containers import path_stat
from holdfast.kernel import paths


@pytest.fixture
def root_fd(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "root/etc/deep").mkdir(parents=True)
    (tmp_path / "root/etc/file").write_text("abc")
    (tmp_path / "root/abs").symlink_to("/etc")
    (tmp_path / "root/out").symlink_to("../../../../etc/deep")
    (tmp_path / "root/dangling").symlink_to("/no/../where")
    (tmp_path / "root/loop").symlink_to("loop")
    fd = paths.open_root(tmp_path / "root")
    yield fd
    os.close(fd)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/", "/"),
        ("etc", "/etc"),
        ("/a/../b", "/b"),
        ("/../../b", "/b"),
        ("/a//b/", "/a/b/"),
        ("/a/.", "/a/."),
        (".", "/."),
        ("./", "/./"),
        ("/./", "/./"),
        ("/a/.//", "/a/./"),
        ("//a", "/a"),
    ],
)
def test_clean(path: str, wanted: str) -> None:
    assert path_stat.clean(path) == wanted


def test_base() -> None:
    assert [path_stat.base(path) for path in ("/", "/a/", "/a/.", "", "a")] == ["/", "a", ".", ".", "a"]


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (stat.S_IFREG | 0o644, 0o644),
        (stat.S_IFDIR | 0o1777, 1 << 31 | 1 << 20 | 0o777),
        (stat.S_IFLNK | 0o777, 1 << 27 | 0o777),
        (stat.S_IFREG | 0o4755, 1 << 23 | 0o755),
        (stat.S_IFCHR | 0o600, 1 << 26 | 1 << 21 | 0o600),
    ],
)
def test_go_mode(mode: int, wanted: int) -> None:
    assert path_stat.go_mode(mode) == wanted


def test_the_last_link_is_not_followed_unless_a_slash_says_so(root_fd: int) -> None:
    with path_stat.found(root_fd, "/abs") as link, path_stat.found(root_fd, "/abs/") as directory:
        assert stat.S_ISLNK(link.info.st_mode)
        assert directory.is_directory
        assert set(os.listdir(directory.directory_fd)) == {"deep", "file"}


def test_a_file_is_no_directory(root_fd: int) -> None:
    with pytest.raises(NotADirectoryError), path_stat.found(root_fd, "/etc/file/x"):
        pass
    with pytest.raises(FileNotFoundError), path_stat.found(root_fd, "/nosuch"):
        pass


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("/abs", "/etc"), ("/out", "/etc/deep"), ("/dangling", "/where"), ("/abs/deep", "/etc/deep"), ("/etc", "/etc")],
)
def test_where_a_link_leads(root_fd: int, path: str, wanted: str) -> None:
    assert path_stat.link_target(root_fd, path) == wanted


def test_a_loop_is_an_error(root_fd: int) -> None:
    with pytest.raises(OSError, match="symbolic links"):
        path_stat.link_target(root_fd, "/loop")
