# SPDX-License-Identifier: Apache-2.0
"""The daemon itself: `_ping`, `version`, `info`, `events`.

Renders facts gathered at start and asks for counts. Called through `daemon.wiring`. Source: Engine API v1.51
SystemPing, SystemVersion, SystemInfo, SystemEvents; shapes compared with dockerd 28.5.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from holdfast.api.facts import Host, Program, python_version
from holdfast.api.http import Json, Raw, Request, Response, Stream
from holdfast.api.router import MAXIMUM, MINIMUM, Route, dotted
from holdfast.api.schema.system import adapt_info
from holdfast.distribution import proxies
from holdfast.engine import moments
from holdfast.errors import InvalidArgument

if TYPE_CHECKING:
    from holdfast.engine.events import Events

_NEVER_CACHE = {
    "Builder-Version": "1",
    "Cache-Control": "no-cache, no-store, must-revalidate",
    "Pragma": "no-cache",
    "Swarm": "inactive",
}
_PLAIN = "text/plain; charset=utf-8"
_PONG = Raw(b"OK", _PLAIN, headers=_NEVER_CACHE)
_SILENT_PONG = Raw(b"", _PLAIN, headers=_NEVER_CACHE)


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """How many objects there are, the volume drivers in use, and CDI's devices and complaints, for `info`."""

    containers: int
    running: int
    paused: int
    stopped: int
    images: int
    volume_drivers: tuple[str, ...] = ("local",)
    devices: tuple[str, ...] = ()
    device_troubles: tuple[str, ...] = ()


Counter = Callable[[], Awaitable[Counts]]


class System(msgspec.Struct, kw_only=True):
    """What these routes tell: facts, the daemon's options as `info` names them (`daemon.reload` sets some), who counts."""

    program: Program
    host: Host
    daemon_id: str
    data_root: str
    storage_driver: str
    storage_status: tuple[tuple[str, str], ...]
    log_driver: str
    log_drivers: tuple[str, ...]
    network_drivers: tuple[str, ...]
    default_runtime: str
    runtimes: Mapping[str, tuple[str, ...]]
    seccomp_profile: str
    has_no_new_privileges: bool
    init_binary: str
    cdi_spec_directories: tuple[str, ...]
    insecure_registries: tuple[str, ...]
    registry_mirrors: tuple[str, ...]
    default_address_pools: tuple[tuple[str, int], ...]
    proxies: proxies.Proxies
    forwards_ipv4: bool
    labels: tuple[str, ...]
    is_debugging: Callable[[], bool]
    warnings: tuple[str, ...]
    count: Counter


def routes(system: System, events: Events) -> list[Route]:
    """The routes of this noun."""

    async def ping(request: Request) -> Response:
        return _PONG

    async def ping_head(request: Request) -> Response:
        return _SILENT_PONG

    async def version(request: Request) -> Response:
        return Json(render_version(system))

    async def info(request: Request) -> Response:
        counts = await system.count()
        return Json(adapt_info(render_info(system, counts, events.statistics()["subscribers"]), request.version))

    async def follow(request: Request) -> Response:
        since_text, until_text = request.query.text("since"), request.query.text("until")
        since, until = _moment(since_text), _moment(until_text)
        if since is not None and until is not None and since > until:
            raise InvalidArgument(f"`since` time ({since_text}) cannot be after `until` time ({until_text})")
        if until == 0:  # the beginning of all time means now
            until = time.time_ns()
        filters = request.query.filters()
        return Stream(_follow(events, since, until, filters))

    return [
        Route("GET", "/_ping", ping),
        Route("HEAD", "/_ping", ping_head),
        Route("GET", "/version", version),
        Route("GET", "/info", info),
        Route("GET", "/events", follow),
    ]


def _moment(text: str) -> int | None:
    return moments.parse_parameter(text, time.time_ns()) if text else None


async def _follow(
    events: Events, since: int | None, until: int | None, filters: dict[str, list[str]]
) -> AsyncIterator[bytes]:
    async for event in events.subscribe(since, until, filters):
        yield event.encode()


def render_version(system: System) -> dict[str, object]:
    """The answer of `GET /version`."""
    program, host = system.program, system.host
    details = {
        "ApiVersion": dotted(MAXIMUM),
        "Arch": host.architecture,
        "BuildTime": program.build_time,
        "Experimental": "false",
        "GitCommit": program.commit,
        "GoVersion": python_version(),
        "KernelVersion": host.kernel_version,
        "MinAPIVersion": dotted(MINIMUM),
        "Os": "linux",
    }
    return {
        "Platform": {"Name": f"{program.name} {program.version}"},
        "Components": [{"Name": "Engine", "Version": program.version, "Details": details}],
        "Version": program.version,
        "ApiVersion": dotted(MAXIMUM),
        "MinAPIVersion": dotted(MINIMUM),
        "GitCommit": program.commit,
        "GoVersion": python_version(),
        "Os": "linux",
        "Arch": host.architecture,
        "KernelVersion": host.kernel_version,
        "BuildTime": program.build_time,
    }


def render_info(system: System, counts: Counts, listeners: int) -> dict[str, object]:
    """The answer of `GET /info` in the newest version of the API."""
    return {
        "ID": system.daemon_id,
        "Containers": counts.containers,
        "ContainersRunning": counts.running,
        "ContainersPaused": counts.paused,
        "ContainersStopped": counts.stopped,
        "Images": counts.images,
        "Driver": system.storage_driver,
        "DriverStatus": [list(pair) for pair in system.storage_status],
        "Plugins": {
            "Volume": list(counts.volume_drivers),
            "Network": list(system.network_drivers),
            "Authorization": None,
            "Log": list(system.log_drivers),
        },
        **_render_limits(system.host),
        "Debug": system.is_debugging(),
        "NFd": len(os.listdir("/proc/self/fd")),
        "NGoroutines": len(asyncio.all_tasks()),
        "SystemTime": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "LoggingDriver": system.log_driver,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": system.host.cgroup_version,
        "NEventsListener": listeners,
        **_render_host(system.host),
        **_render_daemon(system),
        **({"DiscoveredDevices": [{"Source": "cdi", "ID": name} for name in counts.devices]} if counts.devices else {}),
        "Warnings": [*system.warnings, *(f"CDI: {text}" for text in counts.device_troubles)] or None,
    }


def _render_host(host: Host) -> dict[str, object]:
    return {
        "KernelVersion": host.kernel_version,
        "OperatingSystem": host.operating_system,
        "OSVersion": host.os_version,
        "OSType": "linux",
        "Architecture": host.machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "NCPU": host.cpus,
        "MemTotal": host.memory_bytes,
        "GenericResources": None,
        "Name": host.name,
    }


def _runtime(path: str, *arguments: str) -> dict[str, object]:
    return {"path": path, "runtimeArgs": arguments} if arguments else {"path": path}


def _render_daemon(system: System) -> dict[str, object]:
    pools: list[dict[str, object]] = [{"Base": base, "Size": size} for base, size in system.default_address_pools]
    return {
        **({"DefaultAddressPools": pools} if pools else {}),
        "RegistryConfig": _render_registries(system),
        "DockerRootDir": system.data_root,
        "IPv4Forwarding": system.forwards_ipv4,
        "HttpProxy": proxies.masked(system.proxies.http),
        "HttpsProxy": proxies.masked(system.proxies.https),
        "NoProxy": system.proxies.no_proxy,
        "Labels": list(system.labels),
        "ExperimentalBuild": False,
        "ServerVersion": system.program.version,
        "Runtimes": {name: _runtime(*command) for name, command in system.runtimes.items()},
        "DefaultRuntime": system.default_runtime,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": system.init_binary,
        "ContainerdCommit": {"ID": ""},
        "RuncCommit": {"ID": system.program.commit},
        "InitCommit": {"ID": ""},
        "SecurityOptions": _render_security(system),
        "FirewallBackend": {"Driver": "nftables"},
        "CDISpecDirs": list(system.cdi_spec_directories),
    }


def _render_limits(host: Host) -> dict[str, object]:
    controllers = host.cgroup_controllers
    limits: dict[str, object] = {
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": "memory" in controllers and host.has_swap_accounting,
        "CpuCfsPeriod": "cpu" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "OomKillDisable": host.cgroup_version == "1" and "memory" in controllers,
        "BridgeNfIptables": False,  # of older versions; dockerd says so whatever the host has
        "BridgeNfIp6tables": False,
    }
    return limits


def _render_registries(system: System) -> dict[str, object]:
    insecure = [name for name in system.insecure_registries if "/" not in name]
    ranges = [name for name in system.insecure_registries if "/" in name]
    indexes: dict[str, object] = {
        "docker.io": {
            "Mirrors": list(system.registry_mirrors),
            "Name": "docker.io",
            "Official": True,
            "Secure": True,
        }
    }
    indexes |= {name: {"Mirrors": [], "Name": name, "Official": False, "Secure": False} for name in insecure}
    return {
        "IndexConfigs": indexes,
        "InsecureRegistryCIDRs": [*ranges, "::1/128", "127.0.0.0/8"],
        "Mirrors": list(system.registry_mirrors) or None,
    }


def _render_security(system: System) -> list[str]:
    """What containers get; AppArmor is not named, because no profile is applied."""
    found = [f"name=seccomp,profile={system.seccomp_profile}"]
    if system.host.cgroup_version == "2":
        found.append("name=cgroupns")
    if system.has_no_new_privileges:
        found.append("name=no-new-privileges")
    return found
