# SPDX-License-Identifier: Apache-2.0
"""Judges what a user asked for before anything exists: wrong values are InvalidArgument in Docker's words.

Pure: what depends on the machine comes in as a `Machine`. It returns warnings and changes nothing but what Docker
itself discards (options that this machine cannot honour). Called by the jobs create and update.
Source: moby 28 `daemon/container.go`, `daemon/daemon_unix.go`, `runconfig`; texts seen from dockerd 28.5.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection
from dataclasses import dataclass

import msgspec

from holdfast.containers import namespace_modes, ports, signals
from holdfast.containers.config import Config, HealthConfig, HostConfig, strings
from holdfast.errors import InvalidArgument
from holdfast.kernel import capabilities
from holdfast.logs import factory

MINIMUM_MEMORY = 6 << 20
_RESTART_POLICIES = ("no", "always", "on-failure", "unless-stopped")
_MILLISECOND = 1_000_000
_MAXIMUM_CPU = 8192
_CPU_RANGE = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", re.ASCII)
_DEVICE_RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What the checks must know of the host and the daemon."""

    cpus: int
    cpu_list: str
    memory_nodes: str
    runtimes: Collection[str]
    bounding_capabilities: Collection[str]
    has_weight_devices: bool = True
    has_swappiness: bool = True
    has_oom_kill_disable: bool = True
    forwards_ipv4: bool = True


def check(config: Config, host: HostConfig, machine: Machine) -> list[str]:
    """Raises for the first thing that is wrong; returns the warnings that Docker's client prints."""
    _check_config(config)
    _check_zero_bytes(config, host)
    check_restart(host)
    if host.runtime and host.runtime not in machine.runtimes:
        raise InvalidArgument(f"unknown or invalid runtime name: {host.runtime}")
    ports.check(config.exposed_ports, host.port_bindings)
    _check_capabilities(host)
    namespace_modes.check(config, host)
    _check_logs(host)
    _check_lists(host)
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidArgument(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host.shm_size < 0:
        raise InvalidArgument("SHM size can not be less than 0")
    _check_unsupported(host)
    warnings = check_resources(host, machine)
    if not machine.forwards_ipv4:
        warnings.append("IPv4 forwarding is disabled. Networking will not work.")
    if host.network_mode == "host" and host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    return warnings + _capability_warnings(host, machine)


def _check_unsupported(host: HostConfig) -> None:
    if host.isolation not in ("", "default"):
        raise InvalidArgument(f"invalid isolation ({host.isolation}): linux only supports 'default'")
    for name in host.storage_opt or ():
        if name.lower() != "size":
            raise InvalidArgument(f"Unknown option {name}")
        raise InvalidArgument("--storage-opt is supported only for overlay over xfs with 'pquota' mount option")
    for value, what in ((host.io_maximum_bandwidth, "bandwidth"), (host.io_maximum_iops, "IOPs")):
        if value:
            raise InvalidArgument(f"invalid option: QoS maximum {what} configuration is not supported on linux")
    if "" in (host.annotations or {}):
        raise InvalidArgument("invalid Annotations: the empty string is not permitted as an annotation key")


def check_resources(host: HostConfig, machine: Machine, *, is_update: bool = False) -> list[str]:
    """The limits alone: also for update, where a swap limit may come without the memory limit that stands."""
    _check_memory(host, is_update=is_update)
    _check_cpu(host, machine)
    _check_block_io(host)
    warnings = _discard_memory_options(host, machine)
    if host.oom_kill_disable and not host.memory:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system running "
            "out of resources."
        )
    if host.cpu_percent > 0:
        warnings.append("linux does not support CPU percent. Percent discarded.")
        host.cpu_percent = 0
    if host.pids_limit is not None and host.pids_limit < -1:
        host.pids_limit = -1
    return warnings + _discard_weight_devices(host, machine)


def _discard_memory_options(host: HostConfig, machine: Machine) -> list[str]:
    """Two options that only version 1 of control groups has."""
    warnings: list[str] = []
    if host.memory_swappiness not in (None, -1) and not machine.has_swappiness:
        host.memory_swappiness = None
        warnings.append(
            "Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
            "Memory swappiness discarded."
        )
    if host.oom_kill_disable is not None and not machine.has_oom_kill_disable:
        if host.oom_kill_disable:
            warnings.append("Your kernel does not support OomKillDisable. OomKillDisable discarded.")
        host.oom_kill_disable = None
    return warnings


def _discard_weight_devices(host: HostConfig, machine: Machine) -> list[str]:
    for each in host.blkio_weight_device or ():
        if not 10 <= each.weight <= 1000:
            raise InvalidArgument(f"Range of blkio weight is from 10 to 1000, that of {each.path} is {each.weight}")
    if not host.blkio_weight_device or machine.has_weight_devices:
        return []
    host.blkio_weight_device = []
    return [
        "Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded."
    ]


def _check_config(config: Config) -> None:
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidArgument(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    for entry in config.env or ():
        if not entry.partition("=")[0]:
            raise InvalidArgument(f"invalid environment variable: {entry}")
        if "\0" in entry:
            raise InvalidArgument("invalid environment variable: it contains a null byte")
    if config.stop_signal:
        signals.parse(config.stop_signal)
    if len(config.hostname) > 64:
        raise InvalidArgument(f"invalid hostname: {config.hostname} is longer than 64 characters")
    if config.healthcheck is not None:
        _check_health(config.healthcheck)


def _check_zero_bytes(config: Config, host: HostConfig) -> None:
    """No path, word or name that the kernel sees can hold one; labels and annotations may."""
    for document in (config, host):
        if b"\\u0000" not in msgspec.json.encode(document):
            continue
        for member, value in msgspec.to_builtins(document).items():
            if member not in ("Labels", "Annotations") and r"\u0000" in json.dumps(value).replace(r"\\", ""):
                raise InvalidArgument(f"invalid {member}: it contains a null byte")


def _check_health(health: HealthConfig) -> None:
    for name, value in (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ):
        if value != 0 and value < _MILLISECOND:
            raise InvalidArgument(f"{name} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidArgument("Retries in Healthcheck cannot be negative")


def check_restart(host: HostConfig) -> None:
    """The restart policy alone: also for update."""
    policy = host.restart_policy
    if policy.name and policy.name not in _RESTART_POLICIES:
        raise InvalidArgument(
            f"invalid restart policy: unknown policy '{policy.name}'; use one of 'no', 'always', 'on-failure', "
            "or 'unless-stopped'"
        )
    if policy.maximum_retry_count and policy.name != "on-failure":
        raise InvalidArgument("invalid restart policy: maximum retry count can only be used with 'on-failure'")
    if policy.maximum_retry_count < 0:
        raise InvalidArgument("invalid restart policy: maximum retry count cannot be negative")
    if host.auto_remove and policy.name not in ("", "no"):
        raise InvalidArgument("can't create 'AutoRemove' container with restart policy")


def _check_capabilities(host: HostConfig) -> None:
    for member, names in (("CapAdd", strings(host.cap_add)), ("CapDrop", strings(host.cap_drop))):
        for name in names or ():
            if capability_name(name) not in ("ALL", *capabilities.NAMES):
                raise InvalidArgument(f'invalid {member}: unknown capability: "{capability_name(name)}"')


def capability_name(name: str) -> str:
    """`net_admin` as `CAP_NET_ADMIN`; ALL stays ALL."""
    upper = name.upper()
    return upper if upper == "ALL" or upper.startswith("CAP_") else f"CAP_{upper}"


def _capability_warnings(host: HostConfig, machine: Machine) -> list[str]:
    wanted = {capability_name(name) for name in strings(host.cap_add) or ()}
    if host.privileged or "ALL" in wanted:
        wanted = set(capabilities.NAMES)
    missing = sorted(wanted.difference(machine.bounding_capabilities))
    if not missing:
        return []
    return [f"This daemon does not have {', '.join(missing)} itself, so the container does not get it either."]


def _check_logs(host: HostConfig) -> None:
    driver = host.log_config.type or "json-file"
    if driver != "none" and driver not in factory.NAMES:
        raise InvalidArgument(f'error looking up logging plugin {driver}: plugin "{driver}" not found')
    factory.check(driver, host.log_config.config or {})


def _check_lists(host: HostConfig) -> None:
    for entry in host.extra_hosts or ():
        name, colon, address = entry.partition(":")
        if not name or not colon:
            raise InvalidArgument(f'bad format for add-host: "{entry}"')
        if address != "host-gateway" and not _is_address(address):
            raise InvalidArgument(f'invalid IP address in add-host: "{address}"')
    for rule in host.device_cgroup_rules or ():
        if _DEVICE_RULE.fullmatch(rule) is None:
            raise InvalidArgument(f"invalid device cgroup rule format: '{rule}'")
    for link in host.links or ():
        if not link or link.count(":") > 1:
            raise InvalidArgument(f"bad format for links: {link}")


def _is_address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


def _check_memory(host: HostConfig, *, is_update: bool) -> None:
    memory, swap = host.memory, host.memory_swap
    if 0 < memory < MINIMUM_MEMORY or memory < 0:
        raise InvalidArgument("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        raise InvalidArgument("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0 and not is_update:
        raise InvalidArgument("You should always set the Memory limit when using Memoryswap limit, see usage")
    swappiness = host.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidArgument(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if 0 < host.memory_reservation < MINIMUM_MEMORY:
        raise InvalidArgument("Minimum memory reservation allowed is 6MB")
    if 0 < memory < host.memory_reservation:
        raise InvalidArgument("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(host: HostConfig, machine: Machine) -> None:
    if host.nano_cpus:
        if host.cpu_period:
            raise InvalidArgument("Conflicting options: Nano CPUs and CPU Period cannot both be set")
        if host.cpu_quota:
            raise InvalidArgument("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
        if not 0 < host.nano_cpus <= machine.cpus * 1_000_000_000:
            raise InvalidArgument(
                f"range of CPUs is from 0.01 to {machine.cpus}.00, as there are only {machine.cpus} CPUs available"
            )
    if host.cpu_shares < 0:
        raise InvalidArgument(f"invalid CPU shares ({host.cpu_shares}): value must be a positive integer")
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise InvalidArgument("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < host.cpu_quota < 1000:
        raise InvalidArgument("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if 0 < host.cpu_realtime_period < host.cpu_realtime_runtime:
        raise InvalidArgument("cpu real-time runtime cannot be higher than cpu real-time period")
    if host.cpuset_cpus:
        wanted = parse_cpu_list(host.cpuset_cpus, "cpuset cpus")
        if not wanted <= parse_cpu_list(machine.cpu_list, "cpuset cpus"):
            raise InvalidArgument(
                f"Requested CPUs are not available - requested {host.cpuset_cpus}, available: {machine.cpu_list}"
            )
    if host.cpuset_mems:
        nodes = parse_cpu_list(host.cpuset_mems, "cpuset mems")
        if machine.memory_nodes and not nodes <= parse_cpu_list(machine.memory_nodes, "cpuset mems"):
            raise InvalidArgument(
                "Requested memory nodes are not available - "
                f"requested {host.cpuset_mems}, available: {machine.memory_nodes}"
            )


def _check_block_io(host: HostConfig) -> None:
    for member in (
        "blkio_device_read_bps",
        "blkio_device_write_bps",
        "blkio_device_read_iops",
        "blkio_device_write_iops",
    ):
        for each in getattr(host, member) or ():
            if each.rate < 0:
                raise InvalidArgument(f"invalid rate {each.rate} for device {each.path}: it must not be negative")
    if host.blkio_weight and not 10 <= host.blkio_weight <= 1000:
        raise InvalidArgument("Range of blkio weight is from 10 to 1000")


def parse_cpu_list(text: str, what: str) -> set[int]:
    """`0-2,7` as numbers; InvalidArgument for anything else."""
    found: set[int] = set()
    for part in text.split(","):
        match = _CPU_RANGE.fullmatch(part)
        low, high = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if low > high:
            raise InvalidArgument(f"Invalid value {text} for {what}: invalid format: {text}")
        if high > _MAXIMUM_CPU:
            raise InvalidArgument(f"Invalid value {text} for {what}: value of out range, maximum is {_MAXIMUM_CPU}")
        found.update(range(low, high + 1))
    return found
