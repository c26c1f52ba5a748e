# SPDX-License-Identifier: Apache-2.0
"""docker cp inwards: the rules that differ from a layer's, and that nothing leaves the tree."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, InvalidArgument
from holdfast.kernel import paths
from holdfast.snapshots.upload import extract


def tar(*members: tuple[str, bytes, str]) -> io.BytesIO:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid = kind, os.getuid(), os.getgid()
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                archive.addfile(info)
    data.seek(0)
    return data


@pytest.fixture
def root(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    (tmp_path / "canary").mkdir()
    (tmp_path / "canary/alive").write_text("yes")
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    fd = paths.open_root(root)
    yield root, fd
    os.close(fd)
    assert os.listdir(tmp_path / "canary") == ["alive"]
    assert (tmp_path / "canary/alive").read_text() == "yes"
    assert (tmp_path / "canary/alive").stat().st_nlink == 1
    assert sorted(os.listdir(tmp_path)) == ["canary", "root"]


def test_links_of_the_tree_are_followed_from_its_root(root: tuple[Path, int]) -> None:
    where, fd = root
    (where / "in/run").symlink_to("/elsewhere")
    (where / "elsewhere").mkdir()

    extract(fd, "/in", tar(("run/f", tarfile.REGTYPE, "x")))

    assert (where / "elsewhere/f").read_text() == "x"


def test_whiteout_names_are_names(root: tuple[Path, int]) -> None:
    where, fd = root
    (where / "in/f").write_text("stays")

    extract(fd, "/in", tar((".wh.f", tarfile.REGTYPE, ""), (".wh..wh..opq", tarfile.REGTYPE, "")))

    assert sorted(os.listdir(where / "in")) == [".wh..wh..opq", ".wh.f", "f"]


def test_the_archives_root_entry_is_passed_over(root: tuple[Path, int]) -> None:
    where, fd = root
    before = (where / "in").stat().st_mode

    extract(fd, "/in", tar((".", tarfile.DIRTYPE, ""), ("./f", tarfile.REGTYPE, "x")))

    assert (where / "in").stat().st_mode == before
    assert (where / "in/f").exists()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (tarfile.REGTYPE, 'cannot overwrite directory "x" with non-directory "/in"'),
        (tarfile.DIRTYPE, 'cannot overwrite non-directory "x" with directory "/in"'),
    ],
)
def test_kinds_are_kept_on_demand(root: tuple[Path, int], kind: bytes, text: str) -> None:
    where, fd = root
    if kind == tarfile.REGTYPE:
        (where / "in/x").mkdir()
    else:
        (where / "in/x").write_text("")

    with pytest.raises(InvalidArgument, match=text):
        extract(fd, "/in", tar(("x", kind, "")), keeps_kinds=True)
    extract(fd, "/in", tar(("x", kind, "")))

    assert (where / "in/x").is_dir() is (kind == tarfile.DIRTYPE)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_one_owner_for_all(root: tuple[Path, int]) -> None:
    where, fd = root

    extract(fd, "/in", tar(("d", tarfile.DIRTYPE, ""), ("d/l", tarfile.SYMTYPE, "x")), owner=(5, 6))

    assert [(os.lstat(where / path).st_uid, os.lstat(where / path).st_gid) for path in ("in/d", "in/d/l")] == [
        (5, 6)
    ] * 2


@pytest.mark.parametrize(
    "members",
    [
        [("../../canary/evil", tarfile.REGTYPE, "x")],
        [("/../canary/evil", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "../../canary"), ("l/evil", tarfile.REGTYPE, "x")],
        [("l", tarfile.SYMTYPE, "/../canary"), ("l/evil", tarfile.DIRTYPE, "")],
        [("h", tarfile.LNKTYPE, "../../canary/alive")],
        [("l", tarfile.SYMTYPE, "../../canary"), ("h", tarfile.LNKTYPE, "l/alive")],
        [("l", tarfile.SYMTYPE, "../../canary/alive"), ("l", tarfile.REGTYPE, "no")],
        [("l", tarfile.SYMTYPE, "../../canary"), ("l", tarfile.DIRTYPE, ""), ("l/f", tarfile.REGTYPE, "")],
        [("p", tarfile.SYMTYPE, "/proc/self/root"), ("p/tmp/evil", tarfile.REGTYPE, "x")],
    ],
)
def test_nothing_leaves_the_tree(root: tuple[Path, int], members: list[tuple[str, bytes, str]]) -> None:
    _, fd = root
    try:
        extract(fd, "/in", tar(*members))
    except HoldfastError:
        return
