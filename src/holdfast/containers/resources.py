# SPDX-License-Identifier: Apache-2.0
"""Limits as OCI `linux.resources`, for a start and for an update. Pure.

Called by `spec` and the job update. Source: OCI runtime-spec v1.2 §config-linux, moby 28 `getResources`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from holdfast.containers.config import HostConfig, ThrottleDevice
from holdfast.errors import InvalidArgument
from holdfast.runtime import defaults

if TYPE_CHECKING:
    from holdfast.containers.spec import HostDevice

_DEFAULT_PERIOD = 100_000


def compile_resources(host: HostConfig, devices: Sequence[HostDevice]) -> dict[str, Any]:
    """Everything for a new container: limits and device rules."""
    return {**compile_limits(host), "devices": _device_rules(host, devices)}


def compile_limits(host: HostConfig) -> dict[str, Any]:
    """Memory, CPU, pids and block IO; a limit that was not asked for is not mentioned."""
    found: dict[str, Any] = {"memory": _memory(host), "cpu": _cpu(host), "blockIO": _block_io(host)}
    if host.pids_limit is not None and host.pids_limit != 0:
        found["pids"] = {"limit": max(-1, host.pids_limit)}
    return {name: values for name, values in found.items() if values}


def default_swap(memory: int) -> int:
    """Memory and swap together where only memory was said: twice as much, or no limit where int64 cannot hold it."""
    return memory * 2 if memory < 1 << 62 else -1


def _memory(host: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host.memory > 0:
        found["limit"] = host.memory
        found["swap"] = host.memory_swap or default_swap(host.memory)
    if host.memory_reservation > 0:
        found["reservation"] = host.memory_reservation
    if host.memory_swappiness is not None and host.memory_swappiness >= 0:
        found["swappiness"] = host.memory_swappiness
    if host.oom_kill_disable:
        found["disableOOMKiller"] = True
    return found


def _cpu(host: HostConfig) -> dict[str, Any]:
    period, quota = host.cpu_period, host.cpu_quota
    if host.nano_cpus > 0:
        period = _DEFAULT_PERIOD
        quota = host.nano_cpus * period // 1_000_000_000
    wanted: tuple[tuple[str, int | str], ...] = (
        ("shares", host.cpu_shares),
        ("period", period),
        ("quota", quota),
        ("realtimePeriod", host.cpu_realtime_period),
        ("realtimeRuntime", host.cpu_realtime_runtime),
        ("cpus", host.cpuset_cpus),
        ("mems", host.cpuset_mems),
    )
    return {name: value for name, value in wanted if value}


def _block_io(host: HostConfig) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if host.blkio_weight:
        found["weight"] = host.blkio_weight
    if host.blkio_weight_device:
        found["weightDevice"] = [
            {**_numbers(device.path), "weight": device.weight} for device in host.blkio_weight_device
        ]
    for name, throttles in (
        ("throttleReadBpsDevice", host.blkio_device_read_bps),
        ("throttleWriteBpsDevice", host.blkio_device_write_bps),
        ("throttleReadIOPSDevice", host.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", host.blkio_device_write_iops),
    ):
        if throttles:
            found[name] = [_throttle(device) for device in throttles]
    return found


def _throttle(device: ThrottleDevice) -> dict[str, Any]:
    return {**_numbers(device.path), "rate": device.rate}


def _numbers(path: str) -> dict[str, int]:
    """Major and minor of a block device; one stat."""
    try:
        number = os.stat(path).st_rdev
    except OSError as error:
        raise InvalidArgument(f"{path}: {(error.strerror or '').lower()}") from None
    return {"major": os.major(number), "minor": os.minor(number)}


def _device_rules(host: HostConfig, devices: Sequence[HostDevice]) -> list[dict[str, Any]]:
    if host.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules = [
        _rule(allow, kind, major, minor, access)
        for allow, kind, major, minor, access in defaults.DEVICE_RULES
        if allow or kind == "a"  # runc refuses a denial that would be a hole in a wildcard, and it changes nothing
    ]
    rules += [_rule(True, device.kind, device.major, device.minor, device.access) for device in devices]
    for text in host.device_cgroup_rules or ():
        kind, numbers, access = text.split(" ")
        major, _, minor = numbers.partition(":")
        rules.append(_rule(True, kind, _number(major), _number(minor), access))
    return rules


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)


def _rule(allow: bool, kind: str, major: int | None, minor: int | None, access: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"allow": allow, "type": kind, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule
