# SPDX-License-Identifier: Apache-2.0
"""What docker stats shows of samples: parsing, rendering, and zeros for what does not run."""

from holdfast.api.schema.stats import render
from holdfast.engine.sampler import NOTHING, Sample, parse_networks, read_system_cpu

TABLE = """Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:       9       9    0    0    0     0          0         0        9       9    0    0    0     0       0          0
  eth0:     732       8    1    2    0     0          0         0       84       2    3    4    0     0       0          0
"""


def sample(**memory: int) -> Sample:
    usage = {"usage": 100, "max": 200, "limit": 2**64 - 1, "failcnt": 0, **memory}
    return Sample(
        moment_nanos=1,
        used={
            "cpu": {"usage": {"total": 5, "percpu": [2, 3], "kernel": 1, "user": 4}},
            "memory": {"usage": usage, "raw": {"cache": 7, "file": 8, "unheard_of": 9}},
            "pids": {"current": 1},
            "blkio": {"ioServiceBytesRecursive": [{"major": 8, "minor": 0, "op": "Read", "value": 3}]},
        },
        networks={"eth0": {"rx_bytes": 1}},
        system_cpu_nanos=50,
        cpus=2,
    )


def test_interfaces_but_for_loopback() -> None:
    assert parse_networks(TABLE) == {
        "eth0": {
            "rx_bytes": 732,
            "rx_packets": 8,
            "rx_errors": 1,
            "rx_dropped": 2,
            "tx_bytes": 84,
            "tx_packets": 2,
            "tx_errors": 3,
            "tx_dropped": 4,
        }
    }


def test_the_processors_time_grows() -> None:
    nanos, cpus = read_system_cpu()

    assert cpus >= 1
    assert read_system_cpu()[0] >= nanos > 0


def test_version_one() -> None:
    shown = render("c", "id", sample(), NOTHING, 1)

    assert shown["name"] == "/c"
    assert shown["cpu_stats"]["cpu_usage"]["percpu_usage"] == [2, 3]
    assert shown["memory_stats"]["max_usage"] == 200
    assert 0 < shown["memory_stats"]["limit"] < 2**62
    assert shown["memory_stats"]["stats"]["cache"] == 7
    assert "unheard_of" not in shown["memory_stats"]["stats"]
    assert shown["blkio_stats"]["io_service_bytes_recursive"][0]["op"] == "Read"
    assert shown["precpu_stats"]["cpu_usage"]["total_usage"] == 0
    assert shown["preread"] == "0001-01-01T00:00:00Z"


def test_version_two() -> None:
    shown = render("c", "id", sample(limit=1000), NOTHING, 2)

    assert shown["memory_stats"]["limit"] == 1000
    assert "max_usage" not in shown["memory_stats"]
    assert shown["memory_stats"]["stats"]["file"] == 8
    assert shown["blkio_stats"]["io_service_bytes_recursive"][0]["op"] == "read"
    assert shown["blkio_stats"]["io_serviced_recursive"] is None


def test_a_container_that_does_not_run_has_zeros() -> None:
    shown = render("c", "id", NOTHING, NOTHING, 1)

    assert shown["memory_stats"] == {}
    assert shown["pids_stats"] == {}
    assert "networks" not in shown
    assert "online_cpus" not in shown["cpu_stats"]
