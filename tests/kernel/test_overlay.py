# SPDX-License-Identifier: Apache-2.0
import os
from pathlib import Path

import pytest

from holdfast.kernel import overlay


@pytest.mark.parametrize(
    ("release", "can"),
    [
        ("6.18.44-fc", True),
        ("6.8.0", True),
        ("7.0", True),
        ("6.7.12", False),
        ("6.1.0-13-amd64", False),
        ("5.15-x", False),
        ("odd", False),
    ],
)
def test_the_release_decides_how_layers_are_named(release: str, can: bool) -> None:
    assert overlay.takes_layers_one_by_one(release) is can


def test_a_colon_in_a_layers_name_is_kept() -> None:
    assert overlay.split_lowers("/a\\:b:/c") == ["/a:b", "/c"]


def _layers(folder: Path, count: int) -> list[str]:
    for number in range(count):
        (folder / f"{number}").mkdir()
        (folder / f"{number}" / f"file{number}").write_text(str(number))
        (folder / f"{number}" / "same").write_text(str(number))
    return [str(folder / str(number)) for number in range(count)]


@pytest.mark.parametrize("count", [60, 130])
@pytest.mark.parametrize("release", [os.uname().release, "6.1"])
def test_many_layers_are_mounted_on_new_and_old_kernels(
    release: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = _layers(tmp_path, count)
    for name in ("upper", "work"):
        (tmp_path / name).mkdir()
    names = os.uname()
    monkeypatch.setattr(os, "uname", lambda: os.uname_result((names[0], names[1], release, names[3], names[4])))
    before = os.getcwd(), os.readlink("/proc/self/ns/mnt")

    fd = overlay.new([f"lowerdir={':'.join(layers)}", f"upperdir={tmp_path}/upper", f"workdir={tmp_path}/work"])

    try:
        found = os.listdir(f"/proc/self/fd/{fd}")
        assert {f"file{number}" for number in range(count)} <= set(found)
        assert os.read(os.open("same", os.O_RDONLY, dir_fd=fd), 9) == b"0"
        assert (os.getcwd(), os.readlink("/proc/self/ns/mnt")) == before
    finally:
        os.close(fd)


def test_a_missing_layer_is_said() -> None:
    with pytest.raises(OSError, match="No such file"):
        overlay.new(["lowerdir=/no/such/layer:/nor/this"])


def test_the_upper_layer_takes_what_is_written(tmp_path: Path) -> None:
    layers = _layers(tmp_path, 2)
    (tmp_path / "upper").mkdir()
    (tmp_path / "work").mkdir()

    fd = overlay.new([f"lowerdir={':'.join(layers)}", f"upperdir={tmp_path}/upper", f"workdir={tmp_path}/work"])
    os.close(os.open("new", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)

    assert (tmp_path / "upper" / "new").exists()
