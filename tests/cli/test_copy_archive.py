# SPDX-License-Identifier: Apache-2.0
"""Unpacking on this machine what a container sent: complete, and never outside the destination."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from holdfast import errors
from holdfast.cli.copy_archive import pack, unpack


def archive(*members: tuple[str, bytes, str]) -> list[bytes]:
    """(name, type, content or link)"""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type, info.mode = kind, 0o6755
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                tar.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                tar.addfile(info)
    return [data.getvalue()]


def test_what_is_packed_can_be_unpacked(tmp_path: Path) -> None:
    source, target = tmp_path / "s", tmp_path / "t"
    (source / "d").mkdir(parents=True)
    target.mkdir()
    (source / "d/f").write_bytes(b"x" * 1_000_000)
    (source / "l").symlink_to("d/f")
    os.link(source / "d/f", source / "h")

    total = unpack(pack(str(source), "s"), str(target), "s", "new")

    assert (target / "new/d/f").read_bytes() == b"x" * 1_000_000
    assert os.readlink(target / "new/l") == "d/f"
    assert (target / "new/h").stat().st_ino == (target / "new/d/f").stat().st_ino
    assert total == 1_000_000


@pytest.mark.parametrize(
    "members",
    [
        [("../evil", tarfile.REGTYPE, "x")],
        [("a", tarfile.SYMTYPE, ".."), ("a/evil", tarfile.REGTYPE, "x")],
        [("a", tarfile.SYMTYPE, "/"), ("a/evil", tarfile.DIRTYPE, "")],
        [("h", tarfile.LNKTYPE, "../canary")],
        [("a", tarfile.SYMTYPE, ".."), ("h", tarfile.LNKTYPE, "a/canary")],
        [("there/evil", tarfile.REGTYPE, "x")],
    ],
)
def test_nothing_leaves_the_destination(tmp_path: Path, members: list[tuple[str, bytes, str]]) -> None:
    target = tmp_path / "t"
    target.mkdir()
    (tmp_path / "canary").write_text("alive")
    (target / "there").symlink_to(tmp_path)

    with pytest.raises((errors.InvalidArgument, OSError)):
        unpack(archive(*members), str(target), "", "")

    assert sorted(os.listdir(tmp_path)) == ["canary", "t"]
    assert (tmp_path / "canary").stat().st_nlink == 1


def test_set_id_bits_and_devices_are_not_taken_over(tmp_path: Path) -> None:
    unpack(archive(("f", tarfile.REGTYPE, "x"), ("null", tarfile.CHRTYPE, "")), str(tmp_path), "", "")

    assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o755
    assert os.listdir(tmp_path) == ["f"]


def test_a_link_in_the_way_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "canary").write_text("alive")
    target = tmp_path / "t"
    target.mkdir()
    (target / "f").symlink_to("../canary")

    unpack(archive(("f", tarfile.REGTYPE, "new")), str(target), "", "")

    assert (tmp_path / "canary").read_text() == "alive"
    assert (target / "f").read_text() == "new"
