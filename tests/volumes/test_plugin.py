# SPDX-License-Identifier: Apache-2.0
"""What the store makes of a volume plugin's answers, good and bad ones."""

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from volume_plugin import Fake, served, served_on_tcp

from holdfast import metadata
from holdfast.errors import Conflict, InvalidArgument, NotFound, Unavailable
from holdfast.volumes import Store, discovery
from holdfast.volumes.discovery import Address, Places, Tls


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[Fake]:
    with served(tmp_path / "plugins") as made:
        yield made


@pytest.fixture
def store(tmp_path: Path, fake: Fake) -> Store:
    return opened(tmp_path)


def opened(tmp_path: Path, patience_seconds: float = 0) -> Store:
    records = metadata.Store(tmp_path / "metadata.db")
    return Store(tmp_path / "volumes", records, plugins=places(tmp_path), patience_seconds=patience_seconds)


def places(tmp_path: Path) -> Places:
    return Places(str(tmp_path / "plugins"), (str(tmp_path / "etc"), str(tmp_path / "lib")))


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
        ("VolumeDriver.Capabilities", {}),
        ("VolumeDriver.Get", {"Name": "data"}),
        ("VolumeDriver.Create", {"Name": "data", "Opts": {"size": "1"}}),
        ("VolumeDriver.Mount", {"Name": "data", "ID": "one"}),
        ("VolumeDriver.Mount", {"Name": "data", "ID": "two"}),
        ("VolumeDriver.Unmount", {"Name": "data", "ID": "one"}),
        ("VolumeDriver.Unmount", {"Name": "data", "ID": "two"}),
        ("VolumeDriver.Get", {"Name": "data"}),
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


def test_what_follows_an_answer_is_not_read(store: Store, fake: Fake) -> None:
    """Small plugins write two documents, and dockerd reads the first."""
    fake.answers["VolumeDriver.Get"] = b' {"Err": "no such volume"}\n{}\n'
    fake.answers["VolumeDriver.Create"] = b'null\n{"Err": "late"}'

    store.create("data", driver="far")

    assert store.has("data")


def test_a_refusal_is_told(store: Store, fake: Fake) -> None:
    fake.answers["VolumeDriver.Create"] = {"Err": "quota is full"}
    with pytest.raises(InvalidArgument, match=r"^create data: quota is full$"):
        store.create("data", driver="far")
    del fake.answers["VolumeDriver.Create"]
    store.create("data", driver="far")
    fake.answers["VolumeDriver.Remove"] = {"Err": "still mounted"}

    with pytest.raises(Conflict, match=r"^remove data: still mounted$"):
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


def test_volumes_that_only_the_plugin_knows_are_seen_and_used(store: Store, fake: Fake) -> None:
    (fake.root / "foreign").mkdir()
    fake.status = {"bytes": 12}
    store.create("mine", driver="far", labels={"a": "b"})
    store.create("local")

    found, warnings = store.survey()
    assert [(each.name, each.driver, each.labels) for each in found] == [
        ("foreign", "far", None),
        ("local", "local", None),
        ("mine", "far", {"a": "b"}),
    ]
    assert warnings == []
    volume, described = store.inspect("foreign")
    assert (volume.driver, volume.created_nanos) == ("far", 0)
    assert described is not None
    assert described.status == {"bytes": 12}
    assert not store.has("foreign")
    assert store.create("foreign")[1] is False
    assert store.acquire("foreign", "one") == str(fake.root / "foreign")


def test_a_foreign_volume_can_be_removed(store: Store, fake: Fake) -> None:
    (fake.root / "foreign").mkdir()

    removed = store.remove("foreign")

    assert removed is not None
    assert removed.driver == "far"
    assert not (fake.root / "foreign").exists()


def test_what_the_plugin_has_no_more_is_no_volume_and_can_be_made_again(store: Store, fake: Fake) -> None:
    store.create("data", driver="far", labels={"a": "b"})
    (fake.root / "data").rmdir()

    with pytest.raises(NotFound, match="get data: no such volume"):
        store.inspect("data")
    assert store.create("data", driver="far")[0].labels is None
    (fake.root / "data").rmdir()
    with pytest.raises(NotFound, match="get data: no such volume"):
        store.remove("data")
    assert not store.has("data")


def test_a_dead_plugin_s_volumes_are_listed_with_a_warning_and_told_of_in_docker_s_words(tmp_path: Path) -> None:
    store = opened(tmp_path)
    with served(tmp_path / "plugins") as fake:
        fake.answers["VolumeDriver.Capabilities"] = {"Capabilities": {"Scope": "global"}}
        store.create("data", driver="far")
        assert store.get("data").scope == store.inspect("data")[0].scope == "global"
    path = tmp_path / "plugins/far.sock"
    reason = f"dial unix {path}: connect: connection refused"

    found, warnings = store.survey()
    assert [volume.name for volume in found] == ["data"]
    assert warnings == [f'list far: Post "http://plugin.moby.localhost/VolumeDriver.List": {reason}']
    with pytest.raises(Unavailable) as told:
        store.inspect("data")
    assert told.value.message == (
        'get data: error while checking if volume "data" exists in driver "far": '
        f'Post "http://plugin.moby.localhost/VolumeDriver.Get": {reason}'
    )
    with pytest.raises(Unavailable, match=r"error looking up volume plugin far: Post .*Plugin.Activate"):
        opened(tmp_path).create("other", driver="far")
    assert opened(tmp_path).create("another")[0].driver == "local"


def test_a_mount_waits_for_a_plugin_that_starts_late(tmp_path: Path) -> None:
    with served(tmp_path / "plugins"):
        opened(tmp_path).create("data", driver="far")
    (tmp_path / "plugins/far.sock").unlink()
    store = opened(tmp_path, patience_seconds=10)

    with ThreadPoolExecutor() as pool:
        path = pool.submit(store.acquire, "data", "one")
        time.sleep(0.1)
        with served(tmp_path / "plugins") as fake:
            assert path.result(10) == str(fake.root / "data")


def test_a_mount_waits_for_a_plugin_that_is_started_again(tmp_path: Path) -> None:
    store = opened(tmp_path, patience_seconds=10)
    with served(tmp_path / "plugins"):
        store.create("data", driver="far")
    path = tmp_path / "plugins/far.sock"

    with ThreadPoolExecutor() as pool:
        mounted = pool.submit(store.acquire, "data", "one")
        time.sleep(0.1)
        path.rename(tmp_path / "old.sock")
        with served(tmp_path / "plugins") as fake:
            assert mounted.result(10) == str(fake.root / "data")


def test_a_plugin_is_told_of_by_a_file(tmp_path: Path) -> None:
    for directory in ("etc", "lib/kept"):
        (tmp_path / directory).mkdir(parents=True)
    with served_on_tcp(tmp_path / "remote") as (fake, port):
        (tmp_path / "etc/near.spec").write_text(f"tcp://127.0.0.1:{port}\n")
        (tmp_path / "lib/kept/kept.json").write_text(f'{{"Name": "other", "Addr": "http://127.0.0.1:{port}"}}')
        store = opened(tmp_path)

        assert store.create("one", driver="near")[0].driver == "near"
        assert store.create("two", driver="kept")[0].driver == "kept"

        assert store.driver_names() == ["kept", "local", "near"]
        assert [call for call, _ in fake.asked].count("VolumeDriver.Create") == 2
    assert discovery.names(places(tmp_path)) == ["kept", "near"]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:///run/x.sock", Address("unix", "/run/x.sock")),
        ("tcp://localhost:8080", Address("tcp", "localhost", 8080)),
        ("https://[::1]", Address("https", "::1", 443)),
        ("/run/x.sock", None),
        ("", None),
        ("ftp://x", None),
        ("unix://relative", None),
        ("tcp://:80", None),
        ("tcp://x:99999", None),
    ],
)
def test_addresses_are_urls(tmp_path: Path, text: str, address: Address | None) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/near.spec").write_text(text)

    if address is None:
        with pytest.raises(InvalidArgument, match=r"near\.spec does not tell of a plugin"):
            discovery.find(places(tmp_path), "near")
    else:
        assert discovery.find(places(tmp_path), "near") == address


@pytest.mark.parametrize("text", ["", "[]", "{", '{"Addr": 3}', '{"Addr": "tcp://x", "TLSConfig": []}', "{}"])
def test_a_description_that_is_none_names_its_file(tmp_path: Path, text: str) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/near.json").write_text(text)

    if "tcp" in text:
        assert discovery.find(places(tmp_path), "near") == Address("tcp", "x", 80)
        return
    with pytest.raises(InvalidArgument, match=r"near\.json does not tell of a plugin"):
        discovery.find(places(tmp_path), "near")


def test_a_description_has_what_tls_wants(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    tls = {"InsecureSkipVerify": False, "CAFile": "/ca", "CertFile": "/cert", "KeyFile": "/key"}
    (tmp_path / "etc/near.json").write_text(json.dumps({"Addr": "https://example.com:1", "TLSConfig": tls}))

    assert discovery.find(places(tmp_path), "near") == Address("https", "example.com", 1, Tls("/ca", "/cert", "/key"))


def test_a_socket_comes_before_files(tmp_path: Path, fake: Fake) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/far.spec").write_text("tcp://127.0.0.1:1")

    assert discovery.find(places(tmp_path), "far") == Address("unix", str(tmp_path / "plugins/far.sock"))
