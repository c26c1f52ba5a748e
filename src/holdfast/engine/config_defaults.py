# SPDX-License-Identifier: Apache-2.0
"""Fills in what the user left open: from the image, and Docker's and the daemon's defaults. Pure.

Called by the job create. Source: moby 28 `daemon/commit.go` merge, `adaptContainerSettings`.
"""

from __future__ import annotations

import posixpath

from holdfast.containers import resources
from holdfast.containers.config import Config, HealthConfig, HostConfig, Ulimit, strings
from holdfast.engine.packages import Settings
from holdfast.errors import InvalidArgument
from holdfast.logs import policy
from holdfast.oci.image import RunConfig
from holdfast.runtime import defaults


def merge_image(config: Config, image: RunConfig) -> None:
    """The user's word stands, the image's fills; environment and labels by name. InvalidArgument without a command."""
    config.user = config.user or image.user
    config.working_dir = config.working_dir or image.working_dir
    config.stop_signal = config.stop_signal or image.stop_signal
    if config.stop_timeout is None:
        config.stop_timeout = image.stop_timeout
    config.exposed_ports = {**(image.exposed_ports or {}), **(config.exposed_ports or {})} or None
    config.volumes = {**(image.volumes or {}), **(config.volumes or {})} or None
    config.labels = {**image.labels, **(config.labels or {})}
    given = {entry.partition("=")[0] for entry in config.env or ()}
    config.env = [*(config.env or ()), *(entry for entry in image.env if entry.partition("=")[0] not in given)]
    if not strings(config.entrypoint):
        if not strings(config.cmd):
            config.cmd = list(image.cmd) if image.cmd is not None else None
        if config.entrypoint is None and image.entrypoint is not None:
            config.entrypoint = list(image.entrypoint)
    if strings(config.entrypoint) == [""]:
        config.entrypoint = None
    _merge_health(config, image)
    if config.shell is None and image.shell:
        config.shell = list(image.shell)
    if not strings(config.entrypoint) and not strings(config.cmd):
        raise InvalidArgument("no command specified")


def _merge_health(config: Config, image: RunConfig) -> None:
    theirs, ours = image.healthcheck, config.healthcheck
    if theirs is None:
        return
    if ours is None:
        ours = config.healthcheck = HealthConfig()
    ours.test = ours.test or list(theirs.test) or None
    ours.interval = ours.interval or theirs.interval
    ours.timeout = ours.timeout or theirs.timeout
    ours.start_period = ours.start_period or theirs.start_period
    ours.start_interval = ours.start_interval or theirs.start_interval
    ours.retries = ours.retries or theirs.retries


def complete_log(host: HostConfig, settings: Settings) -> None:
    """The daemon's log driver where none is named, its options where its driver is used; before they are checked."""
    log = host.log_config
    log.type = log.type or settings.log_driver
    log.config = log.config or {}
    if log.type == settings.log_driver:
        log.config = {**settings.log_options, **log.config}
    log.config = policy.inherit_cache(log.config, settings.log_options)


def _complete_ulimits(host: HostConfig, settings: Settings) -> None:
    given = {limit.name for limit in host.ulimits or ()}
    missing = [
        Ulimit(name=name, soft=soft, hard=hard)
        for name, (soft, hard) in settings.default_ulimits.items()
        if name not in given
    ]
    if missing:
        host.ulimits = [*(host.ulimits or ()), *missing]


def complete(config: Config, host: HostConfig, settings: Settings) -> None:
    """Docker's defaults, as inspect shows them."""
    config.entrypoint, config.cmd, config.shell = (
        strings(config.entrypoint),
        strings(config.cmd),
        strings(config.shell),
    )
    config.labels = config.labels or {}
    if config.working_dir:
        config.working_dir = posixpath.normpath(f"/{config.working_dir.lstrip('/')}")
    host.cap_add, host.cap_drop = strings(host.cap_add), strings(host.cap_drop)
    host.network_mode = "bridge" if host.network_mode in ("", "default") else host.network_mode
    host.restart_policy.name = host.restart_policy.name or "no"
    host.shm_size = host.shm_size or settings.default_shm_bytes
    host.ipc_mode = host.ipc_mode or settings.default_ipc_mode
    host.runtime = host.runtime or settings.default_runtime
    _complete_ulimits(host, settings)
    if not host.cgroupns_mode:
        standard = settings.default_cgroupns_mode or ("host" if settings.cgroup_version == 1 else "private")
        host.cgroupns_mode = "host" if host.privileged else standard
    if host.memory > 0 and host.memory_swap == 0:
        host.memory_swap = resources.default_swap(host.memory)
    if settings.cgroup_version == 1 and host.oom_kill_disable is None:
        host.oom_kill_disable = False
    if host.pids_limit is not None and host.pids_limit <= 0:
        host.pids_limit = None
    if host.memory_swappiness == -1:
        host.memory_swappiness = None
    if host.security_opt is None and (host.privileged or "host" in (host.ipc_mode, host.pid_mode)):
        host.security_opt = ["label=disable"]
    if not host.privileged:
        host.masked_paths = list(settings.masked_paths) if host.masked_paths is None else host.masked_paths
        host.readonly_paths = list(defaults.READONLY_PATHS) if host.readonly_paths is None else host.readonly_paths
