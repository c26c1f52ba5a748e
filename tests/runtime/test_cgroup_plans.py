# SPDX-License-Identifier: Apache-2.0
"""OCI resources as writes, by table: what is asked, what v1 gets, what v2 gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import InvalidArgument
from holdfast.runtime.cgroups.v1 import memory as v1_memory
from holdfast.runtime.cgroups.v1 import plan as v1
from holdfast.runtime.cgroups.v2 import cpu as v2_cpu
from holdfast.runtime.cgroups.v2 import io as v2_io
from holdfast.runtime.cgroups.v2 import memory as v2_memory
from holdfast.runtime.cgroups.v2 import plan as v2

M = 1 << 20


@pytest.mark.parametrize(
    ("resources", "expected_v1", "expected_v2"),
    [
        ({}, {}, []),
        (
            {"memory": {"limit": 64 * M}},
            {"memory": [("memory.limit_in_bytes", str(64 * M))]},
            [("memory.max", str(64 * M))],
        ),
        (
            {"memory": {"limit": 64 * M, "swap": 128 * M}},
            {"memory": [("memory.limit_in_bytes", str(64 * M)), ("memory.memsw.limit_in_bytes", str(128 * M))]},
            [("memory.swap.max", str(64 * M)), ("memory.max", str(64 * M))],
        ),
        (
            {"memory": {"limit": 64 * M, "swap": 64 * M}},
            {"memory": [("memory.limit_in_bytes", str(64 * M)), ("memory.memsw.limit_in_bytes", str(64 * M))]},
            [("memory.swap.max", "0"), ("memory.max", str(64 * M))],
        ),
        (
            {"memory": {"limit": 64 * M, "swap": -1, "reservation": 32 * M}},
            {
                "memory": [
                    ("memory.limit_in_bytes", str(64 * M)),
                    ("memory.memsw.limit_in_bytes", "-1"),
                    ("memory.soft_limit_in_bytes", str(32 * M)),
                ]
            },
            [("memory.swap.max", "max"), ("memory.max", str(64 * M)), ("memory.low", str(32 * M))],
        ),
        (
            {"memory": {"swappiness": 0, "disableOOMKiller": True}},
            {"memory": [("memory.oom_control", "1"), ("memory.swappiness", "0")]},
            [],
        ),
        (
            {"cpu": {"shares": 512, "quota": 50_000, "period": 100_000}},
            {"cpu": [("cpu.shares", "512"), ("cpu.cfs_period_us", "100000"), ("cpu.cfs_quota_us", "50000")]},
            [("cpu.weight", "59"), ("cpu.max", "50000 100000")],
        ),
        ({"cpu": {"quota": -1}}, {"cpu": [("cpu.cfs_quota_us", "-1")]}, [("cpu.max", "max 100000")]),
        ({"cpu": {"period": 5000}}, {"cpu": [("cpu.cfs_period_us", "5000")]}, [("cpu.max", "max 5000")]),
        ({"cpu": {"idle": 1, "shares": 10}}, {"cpu": [("cpu.shares", "10"), ("cpu.idle", "1")]}, [("cpu.idle", "1")]),
        (
            {"cpu": {"cpus": "0-1", "mems": "0"}},
            {"cpuset": [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")]},
            [("cpuset.cpus", "0-1"), ("cpuset.mems", "0")],
        ),
        ({"pids": {"limit": 50}}, {"pids": [("pids.max", "50")]}, [("pids.max", "50")]),
        ({"pids": {"limit": -1}}, {"pids": [("pids.max", "max")]}, [("pids.max", "max")]),
        ({"pids": {"limit": 0}}, {"pids": [("pids.max", "max")]}, [("pids.max", "max")]),
        ({"pids": None, "memory": None, "cpu": {}}, {}, []),
        (
            {"blockIO": {"weight": 300, "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1024}]}},
            {"blkio": [("blkio.bfq.weight", "300"), ("blkio.throttle.read_bps_device", "8:0 1024")]},
            [("io.weight", "2930"), ("io.max", "8:0 rbps=1024")],
        ),
        (
            {"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 16, "rate": 0}]}},
            {"blkio": [("blkio.throttle.write_iops_device", "8:16 0")]},
            [("io.max", "8:16 wiops=max")],
        ),
        (
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 4 * M}]},
            {"hugetlb": [("hugetlb.2MB.limit_in_bytes", str(4 * M))]},
            [("hugetlb.2MB.max", str(4 * M))],
        ),
        (
            {"network": {"classID": 7, "priorities": [{"name": "eth0", "priority": 3}]}},
            {"net_cls": [("net_cls.classid", "7")], "net_prio": [("net_prio.ifpriomap", "eth0 3")]},
            [],
        ),
        (
            {"rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 10}}},
            {"rdma": [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10")]},
            [("rdma.max", "mlx5_1 hca_handle=3 hca_object=10")],
        ),
        (
            {"unified": {"memory.high": "1000", "io.max": "8:0 rbps=1\n8:16 rbps=2"}},
            {},
            [("memory.high", "1000"), ("io.max", "8:0 rbps=1"), ("io.max", "8:16 rbps=2")],
        ),
    ],
)
def test_plans(resources: dict, expected_v1: dict, expected_v2: list) -> None:
    assert v1.plan(resources) == expected_v1
    assert v2.plan(resources) == expected_v2


@pytest.mark.parametrize(
    "resources",
    [
        {"memory": {"limit": 64 * M, "swap": 32 * M}},
        {"memory": "64m"},
        {"memory": {"limit": "64m"}},
        {"memory": {"limit": True}},
        {"pids": []},
        {"cpu": {"cpus": 3}},
        {"hugepageLimits": [{"pageSize": "../x", "limit": 1}]},
        {"blockIO": {"throttleReadBpsDevice": ["8:0"]}},
    ],
)
def test_wrong_resources_are_refused_by_both(resources: dict) -> None:
    with pytest.raises(InvalidArgument):
        v1.plan(resources)
    with pytest.raises(InvalidArgument):
        v2.plan(resources)


@pytest.mark.parametrize("name", ["../memory.max", "", "..", "a/b"])
def test_unified_names_stay_in_the_cgroup(name: str) -> None:
    with pytest.raises(InvalidArgument):
        v2.plan({"unified": {name: "1"}})


def test_swappiness_has_a_range() -> None:
    with pytest.raises(InvalidArgument, match="valid range is 0-100"):
        v1.plan({"memory": {"swappiness": 101}})


@pytest.mark.parametrize(
    ("limit", "swap", "current", "first"),
    [
        (128 * M, 256 * M, 64 * M, "memory.memsw.limit_in_bytes"),
        (128 * M, -1, 64 * M, "memory.memsw.limit_in_bytes"),
        (16 * M, 32 * M, 64 * M, "memory.limit_in_bytes"),
        (-1, 0, 64 * M, "memory.memsw.limit_in_bytes"),
    ],
)
def test_a_growing_limit_raises_the_sum_first(limit: int, swap: int, current: int, first: str) -> None:
    writes = v1_memory.plan({"memory": {"limit": limit, "swap": swap}}, current)

    assert writes[0][0] == first
    assert len(writes) == 2


@pytest.mark.parametrize(
    ("shares", "weight"), [(2, 1), (1, 1), (1024, 100), (512, 59), (2048, 174), (262_144, 10_000), (10**9, 10_000)]
)
def test_shares_as_weight(shares: int, weight: int) -> None:
    assert v2_cpu.weight_of_shares(shares) == weight


@given(st.integers(2, 262_144), st.integers(2, 262_144))
def test_more_shares_never_weigh_less(one: int, other: int) -> None:
    low, high = sorted((one, other))

    assert 1 <= v2_cpu.weight_of_shares(low) <= v2_cpu.weight_of_shares(high) <= 10_000


@pytest.mark.parametrize(("weight", "converted"), [(10, 1), (1000, 10_000), (500, 4950)])
def test_blkio_weights(weight: int, converted: int) -> None:
    assert v2_io.weight_of_blkio(weight) == converted


def test_bfq_takes_the_weight_as_it_is() -> None:
    assert v2.plan({"blockIO": {"weight": 300}}, has_bfq=True) == [("io.bfq.weight", "300")]


@pytest.mark.parametrize(
    ("swap", "limit", "alone"), [(0, 0, None), (0, M, None), (0, -1, -1), (-1, M, -1), (2 * M, M, M), (M, M, 0)]
)
def test_swap_alone(swap: int, limit: int, alone: int | None) -> None:
    assert v2_memory.swap_alone(swap, limit) == alone


@pytest.mark.parametrize("limit", [0, -1])
def test_swap_needs_a_memory_limit(limit: int) -> None:
    with pytest.raises(InvalidArgument):
        v2_memory.swap_alone(M, limit)
