# SPDX-License-Identifier: Apache-2.0
"""What the store makes of a volume plugin's answers, good and bad ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from volume_plugin import Fake, served

from holdfast import metadata
from holdfast.errors import Conflict, InvalidArgument, NotFound, Unavailable
from holdfast.volumes import Store


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    with served(tmp_path / "plugins") as made:
        yield made


@pytest.fixture
def store(tmp_path: Path, fake: Fake) -> Store:
    return opened(tmp_path)


def opened(tmp_path: Path) -> Store:
    records = metadata.Store(tmp_path / "metadata.db")
    return Store(tmp_path / "volumes", records, plugins=str(tmp_path / "plugins"))


def test_a_plugin_s_volume_lives_as_the_protocol_says(store: Store, fake: Fake, tmp_path: Path) -> None:
    made, is_new = store.create("data", driver="far", options={"size": "1"})

    assert (made.driver, made.mountpoint, is_new, made.is_plain) == ("far", "", True, False)
    assert store.acquire("data", "one") == str(fake.root / "data")
    assert store.acquire("data", "two") == str(fake.root / "data")
    assert store.release("data", "one")
    assert store.release("data", "two")
    assert opened(tmp_path).get("data") == made
    assert store.remove("data")
    assert fake.asked == [
        ("Plugin.Activate", {}),
        ("VolumeDriver.Create", {"Name": "data", "Opts": {"size": "1"}}),
        ("VolumeDriver.Get", {"Name": "data"}),
        ("VolumeDriver.Mount", {"Name": "data", "ID": "one"}),
        ("VolumeDriver.Mount", {"Name": "data", "ID": "two"}),
        ("VolumeDriver.Unmount", {"Name": "data", "ID": "one"}),
        ("VolumeDriver.Unmount", {"Name": "data", "ID": "two"}),
        ("VolumeDriver.Remove", {"Name": "data"}),
    ]


def test_a_name_belongs_to_one_driver(store: Store) -> None:
    store.create("data", driver="far")

    with pytest.raises(Conflict, match="volume name must be unique"):
        store.create("data", driver="local")
    assert store.create("data")[0].driver == "far"


@pytest.mark.parametrize("name", ["near", "../far", "far\0", "", "x" * 200])
def test_a_plugin_that_is_not_there_is_not_found(store: Store, name: str) -> None:
    if not name:
        assert store.create("data", driver=name)[0].driver == "local"
        return
    with pytest.raises(NotFound, match="create data: error looking up volume plugin"):
        store.create("data", driver=name)


def test_a_plugin_of_another_kind_is_not_found(store: Store, fake: Fake) -> None:
    fake.implements = ["authz"]

    with pytest.raises(NotFound, match="does not implement"):
        store.create("data", driver="far")


@pytest.mark.parametrize("answer", [b"", b"[]", b"nonsense"])
def test_an_answer_that_is_none_names_the_plugin_and_the_call(store: Store, fake: Fake, answer: bytes) -> None:
    fake.answers["VolumeDriver.Create"] = answer or b"\xff"

    with pytest.raises(Unavailable, match=r"plugin far does not answer VolumeDriver\.Create"):
        store.create("data", driver="far")
    assert not store.has("data")


def test_a_refusal_is_told(store: Store, fake: Fake) -> None:
    fake.answers["VolumeDriver.Create"] = {"Err": "quota is full"}
    with pytest.raises(InvalidArgument, match=r"create data: VolumeDriver\.Create: quota is full"):
        store.create("data", driver="far")
    del fake.answers["VolumeDriver.Create"]
    store.create("data", driver="far")
    fake.answers["VolumeDriver.Remove"] = {"Err": "still mounted"}

    with pytest.raises(Conflict, match=r"remove data: VolumeDriver\.Remove: still mounted"):
        store.remove("data")
    assert store.has("data")


@pytest.mark.parametrize("path", ["", "relative", "/nowhere/at/all"])
def test_a_mount_point_that_is_no_directory_is_given_back(store: Store, fake: Fake, path: str) -> None:
    store.create("data", driver="far")
    fake.answers["VolumeDriver.Mount"] = {"Mountpoint": path}

    with pytest.raises(InvalidArgument, match="no directory of this host"):
        store.acquire("data", "one")
    assert fake.asked[-1] == ("VolumeDriver.Unmount", {"Name": "data", "ID": "one"})
    assert not store.release("data", "one")


def test_a_plugin_that_has_gone_is_told_when_it_is_needed(store: Store, tmp_path: Path) -> None:
    store.create("data", driver="far")
    (tmp_path / "plugins/far.sock").unlink()

    with pytest.raises(NotFound, match='plugin "far" not found'):
        store.acquire("data", "one")
