# SPDX-License-Identifier: Apache-2.0
"""The record of all packages that `daemon.wiring` builds once; routes pick from it what a job needs.

It has no methods and never gets any: a use case is a job in `engine.jobs`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from holdfast.containers.sandbox import SandboxDefaults
from holdfast.distribution.proxies import Proxies
from holdfast.runtime import defaults
from holdfast.snapshots import tar

if TYPE_CHECKING:
    from holdfast import content, images, metadata, volumes
    from holdfast.containers import Containers, Supervisor
    from holdfast.containers.validation import Machine
    from holdfast.distribution.pull import Puller
    from holdfast.distribution.push import Pusher
    from holdfast.engine.background import Background
    from holdfast.engine.events import Events
    from holdfast.engine.flusher import Flusher
    from holdfast.engine.networking import NetworkWorker
    from holdfast.engine.sampler import Sampler
    from holdfast.shim.client import Spawner
    from holdfast.snapshots.driver import Driver


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The daemon's options that jobs look at, under dockerd's names.

    `runtimes`: the command of each runc-like program by its name; `runc` without an entry is our own.
    `cgroup_parent`: where containers' control groups go on every hierarchy. `shutdown_timeout_seconds` as dockerd's.
    """

    data_root: Path
    exec_root: Path
    cgroup_parent: str = "/docker"
    default_runtime: str = "runc"
    runtimes: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    log_driver: str = "json-file"
    log_options: Mapping[str, str] = field(default_factory=dict[str, str])
    default_shm_bytes: int = 64 << 20
    default_ulimits: Mapping[str, tuple[int, int]] = field(default_factory=dict[str, tuple[int, int]])
    labels: tuple[str, ...] = ()
    cgroup_version: int = 1
    masked_paths: tuple[str, ...] = defaults.MASKED_PATHS
    default_ipc_mode: str = "private"
    default_cgroupns_mode: str = ""
    sandbox: SandboxDefaults = field(default_factory=SandboxDefaults)
    has_apparmor: bool = False
    has_init: bool = False
    init_path: str = ""
    cdi_spec_directories: tuple[str, ...] = ()
    proxies: Proxies = field(default_factory=Proxies)
    archive_limits: tar.Limits = field(default_factory=tar.Limits)

    def container_directory(self, container_id: str) -> Path:
        """Where a container's logs, hosts, hostname and resolv.conf live."""
        return self.data_root / "containers" / container_id

    def shim_directory(self, container_id: str) -> Path:
        """Where a running container's shim keeps its socket and its exit status."""
        return self.exec_root / "shims" / container_id


@dataclass(slots=True, kw_only=True)
class Packages:
    """Everything that jobs work with. `config` and `machine` are replaced when the daemon reloads its configuration."""

    config: Settings
    metadata: metadata.Store
    flusher: Flusher
    content: content.Store
    snapshots: Driver
    images: images.Store
    containers: Containers
    networks: NetworkWorker
    volumes: volumes.Store
    distribution: Puller
    pusher: Pusher
    spawner: Spawner
    supervisor: Supervisor
    events: Events
    background: Background
    sampler: Sampler
    machine: Machine
