# SPDX-License-Identifier: Apache-2.0
"""The erofs driver and fs-verity: sealed where it can be, held to the seal at every look and start, and without it as before."""

import io
import os
import tarfile
from pathlib import Path

import pytest

from holdfast.errors import Corrupt, Exhausted
from holdfast.oci import digest
from holdfast.snapshots.drivers.erofs import Erofs

A, B = digest.of(b"a"), digest.of(b"b")


class Seals:
    """A kernel that seals: remembers the inode that it sealed."""

    def __init__(self) -> None:
        self.sealed: dict[int, str] = {}
        self.fails = 0

    def enable(self, path: str) -> str:
        if self.fails:
            raise OSError(self.fails, os.strerror(self.fails))
        inode = os.stat(path).st_ino
        return self.sealed.setdefault(inode, f"sha256:{inode}")

    def measure(self, path: str) -> str:
        return self.sealed.get(os.stat(path).st_ino, "")


class NoSeals:
    def enable(self, path: str) -> str:
        return ""

    def measure(self, path: str) -> str:
        raise AssertionError(path)


def archive(name: str) -> io.BytesIO:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    buffer.seek(0)
    return buffer


def layered(driver: Erofs) -> None:
    for name, parent in ((A, None), (B, A)):
        driver.prepare("unpack", parent)
        driver.apply("unpack", archive(f"of-{name[-1]}"))
        driver.commit(name, "unpack")


def test_every_layer_is_sealed_and_info_says_so(tmp_path: Path) -> None:
    seals = Seals()
    driver = Erofs(str(tmp_path), seals=seals)

    layered(driver)

    assert driver.status() == [("Verity", "true")]
    assert len(seals.sealed) >= 2
    assert driver.prepare("container", B)


def test_another_image_in_the_place_of_a_sealed_one_is_corrupt(tmp_path: Path) -> None:
    seals = Seals()
    layered(Erofs(str(tmp_path), seals=seals))
    image = tmp_path / digest.encoded(A) / "layer.erofs"
    copy = image.read_bytes()
    image.rename(tmp_path / ".old")
    image.write_bytes(copy)
    driver = Erofs(str(tmp_path), seals=seals)

    with pytest.raises(Corrupt, match="pull it again"):
        driver.prepare("container", B)
    with pytest.raises(Corrupt):
        driver.layers(B)

    assert list(driver.iter_keys()) == []


def test_without_verity_all_goes_on(tmp_path: Path) -> None:
    driver = Erofs(str(tmp_path), seals=NoSeals())

    layered(driver)

    assert driver.status() == [("Verity", "false")]
    assert driver.prepare("container", B)
    assert [os.listdir(layer) for layer in driver.layers(B)] == [[f"of-{B[-1]}"], [f"of-{A[-1]}"]]


def test_a_layer_that_was_stored_before_verity_stays_readable(tmp_path: Path) -> None:
    layered(Erofs(str(tmp_path), seals=NoSeals()))

    assert Erofs(str(tmp_path), seals=Seals()).prepare("container", B)


def test_no_room_for_the_hashes_leaves_nothing(tmp_path: Path) -> None:
    seals = Seals()
    driver = Erofs(str(tmp_path), seals=seals)
    driver.prepare("unpack", None)
    seals.fails = 28

    with pytest.raises(Exhausted):
        driver.apply("unpack", archive("x"))

    assert sorted(os.listdir(tmp_path / "unpack")) == ["below", "diff", "work"]
    assert driver.status() == [("Verity", "false")]
