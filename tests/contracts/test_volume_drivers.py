# SPDX-License-Identifier: Apache-2.0
"""What every volume driver promises: our own one, and a plugin behind its socket."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from volume_plugin import served

from holdfast.volumes import Volume
from holdfast.volumes.discovery import Places
from holdfast.volumes.driver import Driver
from holdfast.volumes.factory import Drivers


@pytest.fixture(params=["local", "far"])
def driver(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Driver]:
    with served(tmp_path / "plugins"):
        places = Places(str(tmp_path / "plugins"), ())
        yield Drivers(str(tmp_path / "volumes"), places, patience_seconds=0).find(request.param)


@pytest.fixture
def volume(driver: Driver) -> Volume:
    mountpoint = driver.create("data", {})
    driver.confirm("data")
    return Volume(name="data", mountpoint=mountpoint, created_nanos=1, driver=driver.name)


def test_every_user_finds_the_same_directory(driver: Driver, volume: Volume) -> None:
    first = driver.mount(volume, "one", is_first=True)
    second = driver.mount(volume, "two", is_first=False)

    assert Path(first).is_dir()
    assert first == second


def test_content_outlives_its_users(driver: Driver, volume: Volume) -> None:
    Path(driver.mount(volume, "one", is_first=True), "file").write_text("kept")
    driver.unmount(volume, "one", is_last=True)

    assert Path(driver.mount(volume, "two", is_first=True), "file").read_text() == "kept"


def test_letting_go_twice_is_no_error(driver: Driver, volume: Volume) -> None:
    driver.mount(volume, "one", is_first=True)
    driver.unmount(volume, "one", is_last=True)

    driver.unmount(volume, "one", is_last=True)


def test_a_removed_volume_is_gone_with_its_content_and_its_name_is_free(driver: Driver, volume: Volume) -> None:
    path = Path(driver.mount(volume, "one", is_first=True))
    (path / "file").touch()
    driver.unmount(volume, "one", is_last=True)

    driver.remove(volume)
    assert not path.exists()
    driver.remove(volume)

    assert driver.create("data", {}) == volume.mountpoint
