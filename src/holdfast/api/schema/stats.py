# SPDX-License-Identifier: Apache-2.0
"""The JSON of `docker stats`, keys and order as dockerd 28.5 has them. Pure.

Made by `api.routes.container_stats`. Source: Engine API v1.51 ContainerStatsResponse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from holdfast.containers import timestamps
from holdfast.engine.jobs.stats import memory_limit
from holdfast.engine.sampler import Sample

_V1_MEMORY = [
    "active_anon",
    "active_file",
    "cache",
    "dirty",
    "hierarchical_memory_limit",
    "hierarchical_memsw_limit",
    "inactive_anon",
    "inactive_file",
    "mapped_file",
    "pgfault",
    "pgmajfault",
    "pgpgin",
    "pgpgout",
    "rss",
    "rss_huge",
    "total_active_anon",
    "total_active_file",
    "total_cache",
    "total_dirty",
    "total_inactive_anon",
    "total_inactive_file",
    "total_mapped_file",
    "total_pgfault",
    "total_pgmajfault",
    "total_pgpgin",
    "total_pgpgout",
    "total_rss",
    "total_rss_huge",
    "total_unevictable",
    "total_writeback",
    "unevictable",
    "writeback",
]
_V2_MEMORY = [
    "active_anon",
    "active_file",
    "anon",
    "anon_thp",
    "file",
    "file_dirty",
    "file_mapped",
    "file_writeback",
    "inactive_anon",
    "inactive_file",
    "kernel_stack",
    "pgactivate",
    "pgdeactivate",
    "pgfault",
    "pglazyfree",
    "pglazyfreed",
    "pgmajfault",
    "pgrefill",
    "pgscan",
    "pgsteal",
    "shmem",
    "slab",
    "slab_reclaimable",
    "slab_unreclaimable",
    "sock",
    "thp_collapse_alloc",
    "thp_fault_alloc",
    "unevictable",
    "workingset_activate",
    "workingset_nodereclaim",
    "workingset_refault",
]
_BLOCK_LISTS = (
    "io_service_bytes_recursive",
    "io_serviced_recursive",
    "io_queue_recursive",
    "io_service_time_recursive",
    "io_wait_time_recursive",
    "io_merged_recursive",
    "io_time_recursive",
    "sectors_recursive",
)
_V2_OPERATIONS = ("Read", "Write")


def render(name: str, container_id: str, now: Sample, before: Sample, cgroup_version: int) -> dict[str, Any]:
    """One document; that of a container which does not run has only zeros."""
    document: dict[str, Any] = {
        "name": f"/{name}",
        "id": container_id,
        "read": timestamps.rfc3339(now.moment_nanos),
        "preread": timestamps.rfc3339(before.moment_nanos),
        "pids_stats": dict(_section(now.used, "pids")),
        "blkio_stats": _blocks(now, cgroup_version),
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(now),
        "precpu_stats": _cpu(before),
        "memory_stats": _memory(now, cgroup_version),
    }
    if now.networks:
        document["networks"] = now.networks
    return document


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] | None = document.get(name)
    return found or {}


def _cpu(sample: Sample) -> dict[str, Any]:
    processor = _section(sample.used, "cpu")
    usage, throttling = _section(processor, "usage"), _section(processor, "throttling")
    shown: dict[str, Any] = {"total_usage": usage.get("total", 0)}
    if usage.get("percpu"):
        shown["percpu_usage"] = usage["percpu"]
    shown["usage_in_kernelmode"] = usage.get("kernel", 0)
    shown["usage_in_usermode"] = usage.get("user", 0)
    document: dict[str, Any] = {"cpu_usage": shown}
    if not sample.is_empty:
        document |= {"system_cpu_usage": sample.system_cpu_nanos, "online_cpus": sample.cpus}
    document["throttling_data"] = {
        "periods": throttling.get("periods", 0),
        "throttled_periods": throttling.get("throttledPeriods", 0),
        "throttled_time": throttling.get("throttledTime", 0),
    }
    return document


def _memory(sample: Sample, cgroup_version: int) -> dict[str, Any]:
    memory = _section(sample.used, "memory")
    if not memory:
        return {}
    usage, raw = _section(memory, "usage"), _section(memory, "raw")
    document: dict[str, Any] = {"usage": usage["usage"]}
    if cgroup_version == 1:
        document["max_usage"] = usage["max"]
    names = _V1_MEMORY if cgroup_version == 1 else _V2_MEMORY
    document["stats"] = {name: raw.get(name, 0) for name in names}
    if usage.get("failcnt"):
        document["failcnt"] = usage["failcnt"]
    document["limit"] = memory_limit(usage["limit"])
    return document


def _blocks(sample: Sample, cgroup_version: int) -> dict[str, Any]:
    if sample.is_empty:
        return dict.fromkeys(_BLOCK_LISTS)
    counted = _section(sample.used, "blkio")
    document: dict[str, Any] = {name: [] if cgroup_version == 1 else None for name in _BLOCK_LISTS}
    document["io_service_bytes_recursive"] = _entries(counted.get("ioServiceBytesRecursive") or (), cgroup_version)
    if cgroup_version == 1:
        document["io_serviced_recursive"] = _entries(counted.get("ioServicedRecursive") or (), cgroup_version)
    return document


def _entries(found: Iterable[Mapping[str, Any]], cgroup_version: int) -> list[dict[str, Any]]:
    if cgroup_version == 1:
        return [dict(each) for each in found]
    return [{**each, "op": each["op"].lower()} for each in found if each["op"] in _V2_OPERATIONS]
