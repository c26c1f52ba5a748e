# SPDX-License-Identifier: Apache-2.0
"""What is written as a layer unpacks to the same tree, whichever way it was found."""

import io
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.snapshots import apply, changes, diff, removal, whiteouts
from holdfast.snapshots.tar import Reader

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners, devices, trusted xattrs")


def look(root: Path) -> dict[str, tuple[object, ...]]:
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(root.rglob("*")):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() and not path.is_symlink() else None
        link = os.readlink(path) if path.is_symlink() else None
        when = 0 if path.is_dir() or whiteouts.is_overlay_whiteout(info) else info.st_mtime_ns
        xattrs = {n: os.getxattr(path, n, follow_symlinks=False) for n in os.listxattr(path, follow_symlinks=False)}
        found[str(path.relative_to(root))] = (info.st_mode, info.st_uid, info.st_rdev, when, content, link, str(xattrs))
    return found


def layer_of(write: Callable[..., None], *arguments: object) -> bytes:
    buffer = io.BytesIO()
    write(*arguments, buffer)
    return buffer.getvalue()


def names(data: bytes) -> list[bytes]:
    return [entry.name for entry in Reader(io.BytesIO(data))]


@pytest.fixture
def upper(tmp_path: Path) -> Path:
    root = tmp_path / "upper"
    (root / "d/sub").mkdir(parents=True)
    (root / "d/f").write_bytes(b"x" * 3000)
    os.chmod(root / "d/f", 0o4711)
    os.chown(root / "d/f", 5, 6)
    os.setxattr(root / "d/f", "user.k", b"v")
    os.link(root / "d/f", root / "linked")
    (root / "s").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    os.mknod(root / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "gone", stat.S_IFCHR, 0)
    os.setxattr(root / "d/sub", "trusted.overlay.opaque", b"y")
    return root


def test_an_upper_directory_round_trips(tmp_path: Path, upper: Path) -> None:
    data = layer_of(diff.write_layer, str(upper))
    (tmp_path / "copy").mkdir()

    apply.unpack(str(tmp_path / "copy"), io.BytesIO(data), whiteouts.Overlay())

    assert look(tmp_path / "copy") == look(upper)
    assert (tmp_path / "copy/linked").stat().st_nlink == 2
    assert layer_of(diff.write_layer, str(tmp_path / "copy")) == data


def test_marks_become_whiteouts(upper: Path) -> None:
    found = names(layer_of(diff.write_layer, str(upper)))

    assert b".wh.gone" in found
    assert b"d/sub/.wh..wh..opq" in found
    assert b"gone" not in found


def test_merged_layers_show_no_marks(tmp_path: Path, upper: Path) -> None:
    lower = tmp_path / "lower"
    (lower / "d/sub").mkdir(parents=True)
    for name in ("gone", "kept", "d/sub/hidden", "d/kept"):
        (lower / name).write_text(name)

    found = names(layer_of(diff.write_merged, [str(upper), str(lower)]))

    assert found == [b"d/", b"d/f", b"d/kept", b"d/sub/", b"kept", b"linked", b"null", b"pipe", b"s"]


def test_changes_between_two_trees(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for root in (before, after):
        (root / "d/deep").mkdir(parents=True)
        (root / "same").write_text("same")
        os.utime(root / "same", (1, 1))
    (before / "gone").write_text("x")
    (before / "d/gone").write_text("x")
    (before / "kind").write_text("x")
    (after / "new").write_text("new")
    (after / "d/deep/new").write_text("new")
    (after / "kind").mkdir()
    (after / "kind/inside").write_text("x")

    data = layer_of(diff.write_changes, str(before), str(after))

    assert names(data) == [
        b"d/",
        b"d/deep/",
        b"d/deep/new",
        b"d/.wh.gone",
        b".wh.gone",
        b"kind/",
        b"kind/inside",
        b"new",
    ]
    apply.unpack(str(before), io.BytesIO(data), whiteouts.Direct())
    assert look(before) == look(after)


def test_the_outside_is_never_read(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "secret").write_text("secret")
    (root / "l").symlink_to(tmp_path / "secret")
    (root / "d").symlink_to(tmp_path)

    assert b"secret" not in layer_of(diff.write_merged, [str(root)]).replace(str(tmp_path / "secret").encode(), b"")


DEEP = 1500


def deep(root: Path, levels: int) -> None:
    """A row of directories, deeper than a path is long, with a file at its end."""
    root.mkdir()
    fd = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)


def test_no_tree_is_too_deep(tmp_path: Path) -> None:
    deep(tmp_path / "upper", DEEP)
    (tmp_path / "empty").mkdir()

    assert len(names(layer_of(diff.write_layer, str(tmp_path / "upper")))) == DEEP + 1
    assert len(names(layer_of(diff.write_changes, str(tmp_path / "empty"), str(tmp_path / "upper")))) == DEEP + 1
    found = changes.list_changes(changes.Trees(str(tmp_path / "upper"), [str(tmp_path / "empty")], is_whole=False))
    assert len(found) == DEEP + 1
    parent_fd = os.open(tmp_path, os.O_RDONLY)
    removal.remove("upper", dir_fd=parent_fd)
    os.close(parent_fd)
