# SPDX-License-Identifier: Apache-2.0
"""`-v`, `--mount`, `--tmpfs`, VOLUME: merged, and refused in Docker's words."""

from __future__ import annotations

import pytest

from holdfast.containers import mount_wishes
from holdfast.containers.config import BindOptions, Config, HostConfig, MountWish, TmpfsOptions
from holdfast.containers.record import MountPoint
from holdfast.errors import InvalidArgument

ROOT = "/var/lib/holdfast"


def test_a_path_is_a_bind_and_a_name_a_volume() -> None:
    bind = mount_wishes.parse_bind("/a/../b:/c:ro,rslave")
    volume = mount_wishes.parse_bind("data:/d")

    assert (bind.type, bind.source, bind.destination, bind.rw, bind.propagation) == (
        "bind",
        "/b",
        "/c",
        False,
        "rslave",
    )
    assert (volume.type, volume.name, volume.mode, volume.copy_up) == ("volume", "data", "z", True)
    assert not mount_wishes.parse_bind("data:/d:nocopy").copy_up
    assert mount_wishes.parse_bind("/anonymous").is_anonymous


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("/a:/b:zz", "invalid mode: zz"),
        ("/a:/b:ro,rw", "invalid mode: ro,rw"),
        ("/a:b", "mount path must be absolute"),
        ("/a:/", "destination can't be '/'"),
        ("/a:/x/..", "destination can't be '/'"),
        ("/a:/b:ro:x", "invalid volume specification"),
        ("", "invalid volume specification"),
        ("name:/b:rslave", 'for type "volume": field BindOptions must not be specified'),
        ("/a:/b:nocopy", 'for type "bind": field VolumeOptions must not be specified'),
        ("/a:/b:z,Z", "invalid mode: z,Z"),
        ("/a:/b:rshared,slave", "invalid mode: rshared,slave"),
        ("/a:/b:ro,", "invalid mode: ro,"),
        ("/a:/b:cached,delegated", "invalid mode: cached,delegated"),
        ("/a:/b:ro=1", "invalid mode: ro=1"),
        ("/a:/b:idmap=x", "invalid id map 'x'"),
    ],
)
def test_wrong_binds_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        mount_wishes.parse_bind(text)

    assert message in caught.value.message


def test_the_user_comes_before_the_image_and_before_what_was_inherited() -> None:
    config = Config(volumes={"/data": {}, "/../../etc/x": {}})
    host = HostConfig(binds=["named:/data"], tmpfs={"/t": ""})
    inherited = [
        MountPoint(type="volume", name="other", destination="/data"),
        MountPoint(type="volume", destination="/t"),
    ]

    points = mount_wishes.collect(config, host, inherited, ROOT)

    assert [(point.destination, point.name) for point in points] == [("/data", "named"), ("/etc/x", "")]


def test_one_destination_twice_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /b"):
        mount_wishes.collect(Config(), HostConfig(binds=["/a:/b", "/c:/b"]), [], ROOT)
    with pytest.raises(InvalidArgument, match="Duplicate mount point: /b"):
        mount_wishes.collect(Config(), HostConfig(binds=["/a:/b"], tmpfs={"/b/": ""}), [], ROOT)


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (MountWish(type="foo", target="/x"), 'for type "foo": mount type unknown'),
        (MountWish(type="bind", source="/a"), "field Target must not be empty"),
        (MountWish(type="bind", target="/x"), "field Source must not be empty"),
        (MountWish(type="bind", source="a", target="/x"), "mount path must be absolute"),
        (MountWish(type="bind", source="/a", target="x"), "mount path must be absolute"),
        (MountWish(type="tmpfs", source="/a", target="/x"), "field Source must not be specified"),
        (MountWish(type="volume", target="/x", bind_options=BindOptions()), "BindOptions must not be specified"),
    ],
)
def test_wrong_mounts_are_refused(wish: MountWish, message: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        mount_wishes.collect(Config(), HostConfig(mounts=[wish]), [], ROOT)

    assert message in caught.value.message


def test_tmpfs_words_replace_dockers_defaults() -> None:
    assert mount_wishes.tmpfs_options("") == ["noexec", "nosuid", "nodev"]
    assert mount_wishes.tmpfs_options("exec,size=1m") == ["nosuid", "nodev", "exec", "size=1m"]
    with pytest.raises(InvalidArgument, match='invalid tmpfs option "zz"'):
        mount_wishes.tmpfs_options("zz")
    (point,) = mount_wishes.collect(
        Config(),
        HostConfig(mounts=[MountWish(type="tmpfs", target="/t", tmpfs_options=TmpfsOptions(size_bytes=5, mode=0o700))]),
        [],
        ROOT,
    )
    assert point.options == ["noexec", "nosuid", "nodev", "mode=700", "size=5"]


def test_volumes_from_can_only_take_rights_away() -> None:
    given = [MountPoint(type="volume", name="v", destination="/v", rw=True, copy_up=True)]

    assert mount_wishes.volumes_from("abc:ro") == ("abc", "ro")
    (point,) = mount_wishes.inherit(given, "ro")
    assert (point.rw, point.copy_up) == (False, False)
    with pytest.raises(InvalidArgument, match="invalid mode: zz"):
        mount_wishes.volumes_from("abc:zz")
    with pytest.raises(InvalidArgument, match="invalid mode: nocopy"):
        mount_wishes.volumes_from("abc:nocopy")


@pytest.mark.parametrize(
    "host",
    [HostConfig(binds=["/a:/b:idmap"]), HostConfig(mounts=[MountWish(type="volume", target="/b", id_map="idmap")])],
)
def test_an_id_map_of_the_containers_own_needs_a_container_that_has_one(host: HostConfig) -> None:
    with pytest.raises(InvalidArgument, match=r"the mount at /b .* has none of its own: give the mount a map"):
        mount_wishes.collect(Config(), host, [], ROOT)


def _bind(form: str, source: str, propagation: str) -> HostConfig:
    if form == "binds":
        return HostConfig(binds=[f"{source}:/x" + (f":{propagation}" if propagation else "")])
    options = BindOptions(propagation=propagation) if propagation else None
    return HostConfig(mounts=[MountWish(type="bind", source=source, target="/x", bind_options=options)])


@pytest.mark.parametrize("form", ["binds", "mounts"])
@pytest.mark.parametrize(
    ("source", "given", "chosen"),
    [
        ("/srv", "", "rprivate"),
        ("/srv", "slave", "slave"),
        (f"{ROOT}-2", "", "rprivate"),
        (ROOT, "", "rslave"),
        (f"{ROOT}/volumes", "", "rslave"),
        ("/var", "", "rslave"),
        ("/", "", "rslave"),
        ("/", "rshared", "rshared"),
        (ROOT, "rslave", "rslave"),
    ],
)
def test_a_bind_of_the_data_root_holds_on_to_nothing(form: str, source: str, given: str, chosen: str) -> None:
    (point,) = mount_wishes.collect(Config(), _bind(form, source, given), [], ROOT)

    assert point.propagation == chosen
    assert (mount_wishes.IF_POSSIBLE in point.options) == (given == "" and chosen == "rslave")


@pytest.mark.parametrize("form", ["binds", "mounts"])
@pytest.mark.parametrize("given", ["private", "rprivate", "slave", "shared"])
def test_a_bind_of_the_data_root_that_would_hold_on_is_refused(form: str, given: str) -> None:
    with pytest.raises(InvalidArgument, match='must use either propagation mode "rslave" or "rshared"'):
        mount_wishes.collect(Config(), _bind(form, f"{ROOT}/x", given), [], ROOT)
