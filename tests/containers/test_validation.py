# SPDX-License-Identifier: Apache-2.0
"""What is refused before a container exists, and what is discarded with a warning on machines that lack it."""

from typing import Any

import pytest

from holdfast.containers import validation
from holdfast.containers.config import Config, HostConfig, ThrottleDevice
from holdfast.errors import InvalidArgument


def machine(**facts: Any) -> validation.Machine:
    values: dict[str, Any] = {
        "cpus": 2,
        "cpu_list": "0-1",
        "memory_nodes": "0",
        "runtimes": ("holdfast",),
        "bounding_capabilities": ("CAP_CHOWN",),
        **facts,
    }
    return validation.Machine(**values)


def test_options_of_version_1_are_discarded_on_version_2() -> None:
    host = HostConfig(memory_swappiness=10, oom_kill_disable=True)

    warnings = validation.check_resources(host, machine(has_swappiness=False, has_oom_kill_disable=False))

    assert (host.memory_swappiness, host.oom_kill_disable) == (None, None)
    assert warnings == [
        "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
        "Memory swappiness discarded.",
        "Your kernel does not support OomKillDisable. OomKillDisable discarded.",
    ]


def test_they_are_kept_where_they_act() -> None:
    host = HostConfig(memory_swappiness=10, oom_kill_disable=True, memory=1 << 30)

    assert validation.check_resources(host, machine()) == []
    assert (host.memory_swappiness, host.oom_kill_disable) == (10, True)


@pytest.mark.parametrize(
    ("host", "text"),
    [
        (HostConfig(annotations={"": "x"}), "invalid Annotations: the empty string is not permitted"),
        (HostConfig(storage_opt={"nope": "1"}), "Unknown option nope"),
        (HostConfig(storage_opt={"size": "1G"}), "overlay over xfs with 'pquota' mount option"),
        (HostConfig(runtime="nosuch"), "unknown or invalid runtime name: nosuch"),
        (HostConfig(device_cgroup_rules=["x 1:1 r"]), "invalid device cgroup rule format: 'x 1:1 r'"),
        (HostConfig(oom_score_adj=1001), r"range for oom score adj is \[-1000, 1000\]"),
    ],
)
def test_what_is_refused(host: HostConfig, text: str) -> None:
    with pytest.raises(InvalidArgument, match=text):
        validation.check(Config(), host, machine())


def test_what_the_daemon_has_not_itself_is_named() -> None:
    (warning,) = validation.check(Config(), HostConfig(cap_add=["NET_ADMIN", "chown"]), machine())

    assert "CAP_NET_ADMIN" in warning
    assert "CAP_CHOWN" not in warning


@pytest.mark.parametrize("text", ["0 ", " 0", "0\n", "1-0", "0,,1", "0-", "-1", "", "٣", "0-1,"])
def test_what_is_no_list_of_processors(text: str) -> None:
    with pytest.raises(InvalidArgument, match="invalid format"):
        validation.parse_cpu_list(text, "cpuset cpus")


def test_no_machine_has_so_many_processors() -> None:
    with pytest.raises(InvalidArgument, match="value of out range, maximum is 8192"):
        validation.parse_cpu_list("0-99999999", "cpuset cpus")


def test_a_rate_is_not_negative() -> None:
    host = HostConfig(blkio_device_read_bps=[ThrottleDevice(path="/dev/x", rate=-1)])

    with pytest.raises(InvalidArgument, match="invalid rate -1 for device /dev/x"):
        validation.check(Config(), host, machine())
