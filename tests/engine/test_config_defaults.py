# SPDX-License-Identifier: Apache-2.0
"""What the image and the daemon fill in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from holdfast.containers.config import Config, HostConfig, LogConfig, Ulimit
from holdfast.engine import config_defaults
from holdfast.engine.packages import Settings
from holdfast.errors import InvalidArgument
from holdfast.oci.image import RunConfig

SETTINGS = Settings(data_root=Path("/d"), exec_root=Path("/e"))


def merged(config: Config, image: RunConfig) -> Config:
    config_defaults.merge_image(config, image)
    config_defaults.complete(config, HostConfig(), SETTINGS)
    return config


@pytest.mark.parametrize(
    ("entrypoint", "cmd", "wanted"),
    [
        (None, None, (["e"], ["c"])),
        (None, ["mine"], (["e"], ["mine"])),
        (["mine"], None, (["mine"], None)),
        ("mine", "arg", (["mine"], ["arg"])),
        ([""], ["run"], (None, ["run"])),
    ],
)
def test_entrypoint_and_command(
    entrypoint: list[str] | str | None, cmd: list[str] | str | None, wanted: tuple[list[str] | None, list[str] | None]
) -> None:
    config = merged(Config(entrypoint=entrypoint, cmd=cmd), RunConfig(entrypoint=("e",), cmd=("c",)))

    assert (config.entrypoint, config.cmd) == wanted


def test_no_command_at_all_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="no command specified"):
        merged(Config(), RunConfig())
    with pytest.raises(InvalidArgument, match="no command specified"):
        merged(Config(entrypoint=[""], cmd=[]), RunConfig(entrypoint=("e",), cmd=("c",)))


def test_environment_labels_ports_and_volumes_are_merged_by_name() -> None:
    image = RunConfig(
        cmd=("c",),
        env=("A=image", "B=image"),
        labels={"x": "image", "y": "image"},
        exposed_ports={"80/tcp": {}},
        volumes={"/v": {}},
        user="app",
        working_dir="/w",
    )

    config = merged(Config(env=["A=mine"], labels={"x": "mine"}, exposed_ports={"90/tcp": {}}), image)

    assert config.env == ["A=mine", "B=image"]
    assert config.labels == {"x": "mine", "y": "image"}
    assert set(config.exposed_ports or ()) == {"80/tcp", "90/tcp"}
    assert (config.volumes, config.user, config.working_dir) == ({"/v": {}}, "app", "/w")


def test_the_host_config_is_completed_as_inspect_shows_it() -> None:
    host = HostConfig(memory=10 << 20, pids_limit=0, cap_add="NET_ADMIN")

    config_defaults.complete(Config(), host, SETTINGS)

    assert (host.network_mode, host.ipc_mode, host.restart_policy.name) == ("bridge", "private", "no")
    assert (host.shm_size, host.memory_swap, host.pids_limit) == (64 << 20, 20 << 20, None)
    assert (host.cgroupns_mode, host.cap_add) == ("host", ["NET_ADMIN"])
    assert "/proc/kcore" in (host.masked_paths or ())


def test_the_daemons_ulimits_stand_beside_the_containers_own() -> None:
    settings = replace(SETTINGS, default_ulimits={"nofile": (1, 2), "core": (0, 0)})
    host = HostConfig(ulimits=[Ulimit(name="nofile", soft=10, hard=20)])

    config_defaults.complete(Config(), host, settings)

    assert host.ulimits == [Ulimit(name="nofile", soft=10, hard=20), Ulimit(name="core", soft=0, hard=0)]


def test_the_daemons_log_options_hold_for_its_driver_and_those_of_the_copy_for_every_one() -> None:
    settings = replace(SETTINGS, log_driver="syslog", log_options={"tag": "x", "cache-disabled": "true"})
    unnamed, same, other = HostConfig(), HostConfig(), HostConfig()
    same.log_config = LogConfig(type="syslog", config={"tag": "mine"})
    other.log_config = LogConfig(type="gelf", config={"env": "A"})

    for host in (unnamed, same, other):
        config_defaults.complete_log(host, settings)

    assert (unnamed.log_config.type, unnamed.log_config.config) == ("syslog", settings.log_options)
    assert same.log_config.config == {"tag": "mine", "cache-disabled": "true"}
    assert other.log_config.config == {"env": "A", "cache-disabled": "true"}


@pytest.mark.parametrize(("memory", "swap"), [(1 << 30, 1 << 31), ((1 << 62) - 1, (1 << 63) - 2), (1 << 62, -1)])
def test_swap_that_nobody_named_fits_into_64_bits(memory: int, swap: int) -> None:
    host = HostConfig(memory=memory)

    config_defaults.complete(Config(), host, SETTINGS)

    assert host.memory_swap == swap
