# SPDX-License-Identifier: Apache-2.0
"""What the daemon remembers of one container: the document of the `containers` bucket.

Values only. `store` persists them, jobs change them under the container's lock, `api.schema` renders them.
Times are nanoseconds since the epoch, 0 for never. Source: Engine API v1.51 ContainerInspect.
"""

from __future__ import annotations

import msgspec

from holdfast.containers.config import Config, DockerStruct, EndpointSettings, HostConfig


class HealthResult(DockerStruct):
    """One probe: start and end in RFC 3339, exit code, the first 4096 bytes of its output."""

    start: str = ""
    end: str = ""
    exit_code: int = 0
    output: str = ""


class Health(DockerStruct):
    """starting, healthy or unhealthy, and the last five probes."""

    status: str = "starting"
    failing_streak: int = 0
    log: list[HealthResult] = msgspec.field(default_factory=list[HealthResult])


class State(DockerStruct):
    """Where the container is in its life; `status` is one of `lifecycle.STATES`."""

    status: str = "created"
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_nanos: int = 0
    finished_nanos: int = 0
    health: Health | None = None

    @property
    def is_running(self) -> bool:
        """True while there is a process, paused or not; Docker counts a container between restarts as running too."""
        return self.status in ("running", "paused", "restarting")

    @property
    def has_process(self) -> bool:
        """True while there is a process."""
        return self.status in ("running", "paused")


class MountPoint(DockerStruct):
    """A place in the container where something of the host appears; an image's `name` is a reference, its `source` an id."""

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    copy_up: bool = False
    is_anonymous: bool = False
    subpath: str = ""
    id_map: str = ""
    options: list[str] = msgspec.field(default_factory=list[str])


class PublishedPort(DockerStruct):
    """A port that is bound on the host now."""

    container_port: int = 0
    protocol: str = "tcp"
    host_ip: str = ""
    host_port: int = 0


class NetworkState(DockerStruct):
    """What the network package gave the container; empty while it does not run.

    `shows_ports`: it is in a network that publishes ports, so those that it only exposes are told too.
    """

    sandbox_id: str = ""
    sandbox_key: str = ""
    ports: list[PublishedPort] = msgspec.field(default_factory=list[PublishedPort])
    endpoints: dict[str, EndpointSettings] = msgspec.field(default_factory=dict[str, EndpointSettings])
    hosts_path: str = ""
    resolv_conf_path: str = ""
    hostname_path: str = ""
    shows_ports: bool = True


class Record(DockerStruct):
    """One container."""

    id: str
    name: str
    created_nanos: int
    image_id: str
    driver: str
    config: Config
    host_config: HostConfig
    image_platform: str = "linux"
    chain_id: str | None = None
    path: str = ""
    args: list[str] = msgspec.field(default_factory=list[str])
    mounts: list[MountPoint] = msgspec.field(default_factory=list[MountPoint])
    state: State = msgspec.field(default_factory=State)
    network: NetworkState = msgspec.field(default_factory=NetworkState)
    restart_count: int = 0
    was_stopped_by_user: bool = False
    was_started: bool = False
    is_removing: bool = False
    takes_volumes: bool = False
    """Whether its anonymous volumes go with it, once it is being removed."""
    log_path: str = ""
    seccomp_profile: str = ""
    damage: str = ""

    @property
    def is_terminal(self) -> bool:
        """True when the process has a terminal."""
        return self.config.tty


_DECODER = msgspec.json.Decoder(Record)
_ENCODER = msgspec.json.Encoder()


def encode(record: Record) -> bytes:
    """The record as its document (8 microseconds)."""
    return _ENCODER.encode(record)


def decode(document: bytes) -> Record:
    """The document as a record; raises msgspec.ValidationError or DecodeError."""
    return _DECODER.decode(document)
