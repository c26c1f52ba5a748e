# SPDX-License-Identifier: Apache-2.0
"""What older versions of the API do not know in create's and update's bodies."""

import pytest

from holdfast.api.schema import create_versions
from holdfast.api.schema.containers import CreateBody, NetworkingConfig, UpdateBody
from holdfast.containers.config import (
    BindOptions,
    EndpointSettings,
    HealthConfig,
    HostConfig,
    ImageOptions,
    MountWish,
    VolumeOptions,
)
from holdfast.errors import InvalidArgument


def adapted(version: tuple[int, int], host: HostConfig) -> HostConfig:
    body = CreateBody(host_config=host)
    create_versions.adapt_create(body, version, 1)
    assert body.host_config is not None
    return body.host_config


@pytest.mark.parametrize(
    ("member", "value", "since", "older"),
    [
        ("annotations", {"a": "b"}, (1, 43), None),
        ("console_size", [3, 4], (1, 42), [0, 0]),
        ("kernel_memory_tcp", 5, (1, 40), 0),
    ],
)
def test_a_member_counts_since_its_version(member, value, since, older):
    major, minor = since

    assert getattr(adapted((major, minor), HostConfig(**{member: value})), member) == value
    assert getattr(adapted((major, minor - 1), HostConfig(**{member: value})), member) == older


def test_kernel_memory_counts_until_1_41():
    assert adapted((1, 41), HostConfig(kernel_memory=9)).kernel_memory == 9
    assert adapted((1, 42), HostConfig(kernel_memory=9)).kernel_memory == 0


def test_old_clients_expect_their_ipc_namespace_to_be_shareable():
    assert adapted((1, 39), HostConfig()).ipc_mode == "shareable"
    assert adapted((1, 39), HostConfig(ipc_mode="host")).ipc_mode == "host"
    assert adapted((1, 40), HostConfig()).ipc_mode == ""


@pytest.mark.parametrize(("minor", "cgroups", "mode"), [(40, 1, "host"), (41, 1, ""), (40, 2, "")])
def test_old_clients_expect_the_hosts_control_groups_where_those_are_v1(minor, cgroups, mode):
    body = CreateBody(host_config=HostConfig())

    create_versions.adapt_create(body, (1, minor), cgroups)

    assert body.host_config is not None
    assert body.host_config.cgroupns_mode == mode


def test_options_of_mounts_come_with_their_versions():
    def bind(version):
        wish = MountWish(type="bind", bind_options=BindOptions(non_recursive=True, create_mountpoint=True))
        found = (adapted(version, HostConfig(mounts=[wish])).mounts or [])[0].bind_options
        return found.non_recursive, found.create_mountpoint

    assert [bind((1, minor)) for minor in (39, 40, 41, 42)] == [
        (False, False),
        (True, False),
        (True, False),
        (True, True),
    ]


@pytest.mark.parametrize(
    ("wish", "since", "words"),
    [
        (
            MountWish(type="volume", volume_options=VolumeOptions(subpath="a")),
            45,
            "VolumeOptions.Subpath needs API v1.45",
        ),
        (MountWish(type="image", image_options=ImageOptions()), 48, 'Mount type "Image" needs API v1.48'),
    ],
)
def test_what_cannot_be_left_out_is_refused(wish, since, words):
    adapted((1, since), HostConfig(mounts=[wish]))
    with pytest.raises(InvalidArgument, match=words):
        adapted((1, since - 1), HostConfig(mounts=[wish]))


def test_endpoints_of_old_clients():
    def networks(version, *names):
        wishes = {name: EndpointSettings(mac_address="02:00:00:00:00:01", gw_priority=3) for name in names}
        body = CreateBody(networking_config=NetworkingConfig(endpoints_config=wishes))
        create_versions.adapt_create(body, version, 1)
        return [(wish.mac_address, wish.gw_priority) for wish in wishes.values()]

    assert networks((1, 43), "a") == [("", 0)]
    assert networks((1, 47), "a", "b") == [("02:00:00:00:00:01", 0)] * 2
    assert networks((1, 48), "a") == [("02:00:00:00:00:01", 3)]
    with pytest.raises(InvalidArgument, match="multiple network endpoints: a, b"):
        networks((1, 43), "b", "a")


def test_a_containers_own_mac_address_is_taken_with_a_warning():
    body = CreateBody(mac_address="02:00:00:00:00:01")

    assert create_versions.adapt_create(body, (1, 43), 1) == []
    assert "now deprecated" in create_versions.adapt_create(body, (1, 44), 1)[0]
    assert body.mac_address
    host = CreateBody(mac_address="02:00:00:00:00:01", host_config=HostConfig(network_mode="host"))
    create_versions.adapt_create(host, (1, 51), 1)
    assert host.mac_address == ""


def test_a_start_interval_counts_since_1_44():
    def interval(version):
        body = CreateBody(healthcheck=HealthConfig(start_interval=5))
        create_versions.adapt_create(body, version, 1)
        return body.healthcheck.start_interval

    assert (interval((1, 43)), interval((1, 44))) == (0, 5)


def test_update_of_old_clients_knows_no_pids_limit():
    body = UpdateBody(pids_limit=4)

    create_versions.adapt_update(body, (1, 40))
    assert body.pids_limit == 4
    create_versions.adapt_update(body, (1, 39))
    assert body.pids_limit is None


@pytest.mark.parametrize("mode", ["host", "none", "container:x"])
def test_a_mac_address_without_a_network_of_its_own_is_refused_by_older_versions(mode):
    body = CreateBody(mac_address="02:00:00:00:00:01", host_config=HostConfig(network_mode=mode))

    with pytest.raises(InvalidArgument, match=r"^conflicting options: mac-address and the network mode$"):
        create_versions.adapt_create(body, (1, 43), 1)
