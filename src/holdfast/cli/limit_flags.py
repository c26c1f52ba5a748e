# SPDX-License-Identifier: Apache-2.0
"""Limits as flags say them: memory, processors, block devices and pids. Shared by `run`, `create` and `update`. Pure.

Source: Engine API v1.51 Resources; the flags' grammar as in the docker CLI.
"""

from __future__ import annotations

from holdfast import errors
from holdfast.cli import units

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from holdfast.cli.flags import Values


def changeable(values: Values) -> dict[str, Any]:
    """The limits that a running container can change."""
    limits: dict[str, Any] = {
        "Memory": size(values["memory"]),
        "MemoryReservation": size(values["memory-reservation"]),
        "MemorySwap": -1 if values["memory-swap"] == "-1" else size(values["memory-swap"]),
        "CpuShares": values["cpu-shares"],
        "NanoCpus": nano_cpus(values["cpus"]),
        "CpuPeriod": values["cpu-period"],
        "CpuQuota": values["cpu-quota"],
        "CpuRealtimePeriod": values["cpu-rt-period"],
        "CpuRealtimeRuntime": values["cpu-rt-runtime"],
        "CpusetCpus": values["cpuset-cpus"],
        "CpusetMems": values["cpuset-mems"],
        "BlkioWeight": values["blkio-weight"],
    }
    if values.was_set("pids-limit"):
        limits["PidsLimit"] = values["pids-limit"]
    return limits


def all_of(values: Values) -> dict[str, Any]:
    """Every limit that a container is made with."""
    limits = changeable(values)
    limits |= {
        "BlkioWeightDevice": [_weight_device(text) for text in values["blkio-weight-device"]],
        "BlkioDeviceReadBps": [_rate_device(text, is_bytes=True) for text in values["device-read-bps"]],
        "BlkioDeviceWriteBps": [_rate_device(text, is_bytes=True) for text in values["device-write-bps"]],
        "BlkioDeviceReadIOps": [_rate_device(text, is_bytes=False) for text in values["device-read-iops"]],
        "BlkioDeviceWriteIOps": [_rate_device(text, is_bytes=False) for text in values["device-write-iops"]],
    }
    if values.was_set("memory-swappiness"):
        limits["MemorySwappiness"] = values["memory-swappiness"]
    if values["oom-kill-disable"]:
        limits["OomKillDisable"] = True
    return limits


def size(text: str) -> int:
    """ "64m" in bytes, 0 for nothing."""
    return units.parse_bytes(text) if text else 0


def nano_cpus(text: str) -> int:
    """ "1.5" CPUs in billionths."""
    if not text:
        return 0
    try:
        value = float(text)
    except ValueError:
        raise errors.InvalidArgument(
            f'invalid argument "{text}" for "--cpus" flag: failed to parse "{text}" as a number'
        ) from None
    return round(value * 1e9)


def restart_policy(text: str) -> dict[str, Any]:
    """ "on-failure:3" as the API wants it."""
    name, _, count = text.partition(":")
    if count and not count.isdigit():
        raise errors.InvalidArgument("maximum retry count must be an integer")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _weight_device(text: str) -> dict[str, Any]:
    path, _, weight = text.rpartition(":")
    if not path or not weight.isdigit():
        raise errors.InvalidArgument(f"bad format: {text}: write PATH:WEIGHT")
    return {"Path": path, "Weight": int(weight)}


def _rate_device(text: str, *, is_bytes: bool) -> dict[str, Any]:
    path, _, rate = text.rpartition(":")
    if not path or (not is_bytes and not rate.isdigit()):
        raise errors.InvalidArgument(f"bad format: {text}: write PATH:RATE")
    return {"Path": path, "Rate": units.parse_bytes(rate) if is_bytes else int(rate)}
