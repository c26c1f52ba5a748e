# SPDX-License-Identifier: Apache-2.0
"""What a user asked for: Config, HostConfig and the wish for networks, as Docker's JSON has them.

Values only; `validation` judges them, `spec` compiles them, `record` keeps them. None stands for Go's nil where
clients can see the difference (`null` and `[]`). Source: Engine API v1.51 ContainerConfig, HostConfig, Mount.
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.containers.json_names import docker_name
from holdfast.errors import InvalidArgument

Strings = list[str] | str | None
"""Go's StrSlice: clients may send one string for a list of one."""


class DockerStruct(msgspec.Struct, rename=docker_name, kw_only=True):
    """A mutable value whose members are spelt as Docker spells them."""


class HealthConfig(DockerStruct, omit_defaults=True):
    """How to find out whether the container is well; nanoseconds, 0 is the default."""

    test: list[str] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(DockerStruct):
    """The portable half of a container's configuration."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, dict[str, Any]] | None = None
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: Strings = None
    healthcheck: HealthConfig | None = None
    args_escaped: bool = False
    image: str = ""
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    entrypoint: Strings = None
    network_disabled: bool = False
    mac_address: str = ""
    on_build: list[str] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    stop_timeout: int | None = None
    shell: Strings = None


class LogConfig(DockerStruct):
    """Log driver and its options."""

    type: str = ""
    config: dict[str, str] | None = None


class PortBinding(DockerStruct):
    """One address of the host for a container's port; HostPort may be a range or empty."""

    host_ip: str = ""
    host_port: str = ""


class RestartPolicy(DockerStruct):
    """no, on-failure (with a count, 0 is no limit), always, unless-stopped."""

    name: str = ""
    maximum_retry_count: int = 0


class WeightDevice(DockerStruct):
    """A block device's share."""

    path: str = ""
    weight: int = 0


class ThrottleDevice(DockerStruct):
    """A block device's limit, bytes or operations per second."""

    path: str = ""
    rate: int = 0


class DeviceMapping(DockerStruct):
    """A device of the host in the container."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class DeviceRequest(DockerStruct):
    """A wish for devices that a driver finds (GPUs, CDI)."""

    driver: str = ""
    count: int = 0
    device_ids: list[str] | None = None
    capabilities: list[list[str]] | None = None
    options: dict[str, str] | None = None


class Ulimit(DockerStruct):
    """One rlimit by its short name (nofile); -1 is unlimited."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class BindOptions(DockerStruct, omit_defaults=True):
    """What only bind mounts have."""

    propagation: str = ""
    non_recursive: bool = False
    create_mountpoint: bool = False
    read_only_non_recursive: bool = False
    read_only_force_recursive: bool = False


class VolumeDriver(DockerStruct, omit_defaults=True):
    """Which driver makes the volume, how."""

    name: str = ""
    options: dict[str, str] | None = None


class VolumeOptions(DockerStruct, omit_defaults=True):
    """What only volume mounts have."""

    no_copy: bool = False
    labels: dict[str, str] | None = None
    subpath: str = ""
    driver_config: VolumeDriver | None = None


class TmpfsOptions(DockerStruct, omit_defaults=True):
    """What only tmpfs mounts have."""

    size_bytes: int = 0
    mode: int = 0
    options: list[list[str]] | None = None


class ImageOptions(DockerStruct, omit_defaults=True):
    """What only image mounts have."""

    subpath: str = ""


class MountWish(DockerStruct, omit_defaults=True):
    """One element of HostConfig.Mounts."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    id_map: str = msgspec.field(default="", name="IDMap")
    bind_options: BindOptions | None = None
    volume_options: VolumeOptions | None = None
    image_options: ImageOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class HostConfig(DockerStruct):
    """The half of a container's configuration that depends on the host, with every member that Linux gives sense to."""

    binds: list[str] | None = None
    container_id_file: str = ""
    log_config: LogConfig = msgspec.field(default_factory=LogConfig)
    network_mode: str = ""
    port_bindings: dict[str, list[PortBinding] | None] | None = None
    restart_policy: RestartPolicy = msgspec.field(default_factory=RestartPolicy)
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: list[int] = msgspec.field(default_factory=lambda: [0, 0])
    annotations: dict[str, str] | None = None
    cap_add: Strings = None
    cap_drop: Strings = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | None = None
    tmpfs: dict[str, str] | None = None
    uts_mode: str = ""
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | None = None
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[WeightDevice] | None = None
    blkio_device_read_bps: list[ThrottleDevice] | None = None
    blkio_device_write_bps: list[ThrottleDevice] | None = None
    blkio_device_read_iops: list[ThrottleDevice] | None = None
    blkio_device_write_iops: list[ThrottleDevice] | None = None
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[DeviceRequest] | None = None
    kernel_memory: int = 0
    kernel_memory_tcp: int = msgspec.field(default=0, name="KernelMemoryTCP")
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = 0
    io_maximum_bandwidth: int = 0
    mounts: list[MountWish] | None = None
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | None = None


class EndpointIPAM(DockerStruct, omit_defaults=True):
    """Addresses that the user chose."""

    ipv4_address: str = ""
    ipv6_address: str = ""
    link_local_ips: list[str] | None = None

    def __post_init__(self) -> None:
        self.link_local_ips = self.link_local_ips or None


class EndpointSettings(DockerStruct):
    """A container's place in one network: first the wish, then what it got. `desired_mac` is ours, never shown."""

    ipam_config: EndpointIPAM | None = None
    links: list[str] | None = None
    aliases: list[str] | None = None
    mac_address: str = ""
    driver_opts: dict[str, str] | None = None
    gw_priority: int = 0
    desired_mac: str = ""
    network_id: str = ""
    endpoint_id: str = ""
    gateway: str = ""
    ip_address: str = ""
    ip_prefix_len: int = 0
    ipv6_gateway: str = ""
    global_ipv6_address: str = ""
    global_ipv6_prefix_len: int = 0
    dns_names: list[str] | None = None

    def wish(self) -> EndpointSettings:
        """What was asked for, without what it got; the API has one member for the MAC of both."""
        return EndpointSettings(
            ipam_config=self.ipam_config,
            links=self.links,
            aliases=self.aliases,
            driver_opts=self.driver_opts,
            gw_priority=self.gw_priority,
            mac_address=self.mac_address,
            desired_mac=self.mac_address,
        )


def strings(value: Strings) -> list[str] | None:
    """A StrSlice as a list; one string is a list of one."""
    return [value] if isinstance(value, str) else value


def console_size(given: list[int]) -> list[int]:
    """Height and width as Go's `[2]uint` takes them: a missing one is 0, more are ignored. InvalidArgument."""
    size = [*given, 0, 0][:2]
    if min(size) < 0:
        raise InvalidArgument(f"invalid console size {size[0]}x{size[1]}: height and width must not be negative")
    return size
