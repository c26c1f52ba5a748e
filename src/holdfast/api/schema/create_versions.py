# SPDX-License-Identifier: Apache-2.0
"""What a version of the API does not know in the bodies of create and update: taken out, or refused, before the job sees it.

Pure but for the body, which it changes. Called by `api.routes.containers`. Source: Engine API version history; dockerd 28.5,
asked in each version.
"""

from __future__ import annotations

from holdfast.api.schema.containers import CreateBody, UpdateBody
from holdfast.containers import namespace_modes
from holdfast.containers.config import EndpointSettings, HostConfig, MountWish, console_size
from holdfast.errors import InvalidArgument

Version = tuple[int, int]

_OLD_MAC = "The container-wide MacAddress field is now deprecated. It should be specified in EndpointsConfig instead."


def adapt_create(body: CreateBody, version: Version, cgroup_version: int) -> list[str]:
    """Makes the body what it meant in its version; returns warnings. InvalidArgument for what came later."""
    host = body.host_config = body.host_config or HostConfig()
    for mount in host.mounts or ():
        _adapt_mount(mount, version)
    if body.healthcheck is not None:
        body.healthcheck.test = body.healthcheck.test or None
    if version < (1, 44) and body.healthcheck is not None:
        body.healthcheck.start_interval = 0
    if version < (1, 43):
        host.annotations = None
    if version < (1, 42):
        host.console_size = []
    else:
        host.kernel_memory = 0
    host.console_size = console_size(host.console_size)
    if version < (1, 41) and cgroup_version == 1:
        host.cgroupns_mode = host.cgroupns_mode or "host"
    if version < (1, 40):
        host.ipc_mode = host.ipc_mode or "shareable"
        host.kernel_memory_tcp = 0
    endpoints = (body.networking_config.endpoints_config if body.networking_config else None) or {}
    _adapt_endpoints(endpoints, version)
    return _adapt_mac(body, host, version)


def adapt_update(body: UpdateBody, version: Version) -> None:
    """The same for update."""
    if version < (1, 40):
        body.pids_limit = None
    if version >= (1, 42):
        body.kernel_memory = 0


def _adapt_mount(mount: MountWish, version: Version) -> None:
    bind = mount.bind_options
    if version < (1, 48) and mount.type == "image":
        raise InvalidArgument('Mount type "Image" needs API v1.48 or newer')
    if version < (1, 45) and mount.volume_options is not None and mount.volume_options.subpath:
        raise InvalidArgument("VolumeOptions.Subpath needs API v1.45 or newer")
    if bind is None:
        return
    if version < (1, 42):
        bind.create_mountpoint = False
    if version < (1, 40):
        bind.non_recursive = False


def _adapt_endpoints(endpoints: dict[str, EndpointSettings], version: Version) -> None:
    if version < (1, 44) and len(endpoints) > 1:
        raise InvalidArgument(
            f"Container cannot be created with multiple network endpoints: {', '.join(sorted(endpoints))}"
        )
    for wish in endpoints.values():
        if version < (1, 48):
            wish.gw_priority = 0
        if version < (1, 44):
            wish.mac_address = ""


def _adapt_mac(body: CreateBody, host: HostConfig, version: Version) -> list[str]:
    """Since 1.44 an address belongs to an endpoint; the whole container's is taken, with a warning."""
    if not body.mac_address:
        return []
    is_without = (
        host.network_mode in ("host", "none") or namespace_modes.joined_container(host.network_mode) is not None
    )
    if version < (1, 44):
        if is_without:
            raise InvalidArgument("conflicting options: mac-address and the network mode")
        return []
    if is_without:
        body.mac_address = ""
    return [_OLD_MAC]
