# SPDX-License-Identifier: Apache-2.0
"""The runtime-spec document as types: what `containers.spec` writes and `runtime.plan` reads. Types only.

A spec travels as JSON between daemon and shim and from bundles of others, so it stays a dictionary; these names let
pyright check who writes it. Import it under TYPE_CHECKING only. Source: OCI runtime-spec v1.2, config.md,
config-linux.md.
"""

from __future__ import annotations

from typing import TypedDict


class User(TypedDict, total=False):
    """process.user"""

    uid: int
    gid: int
    umask: int
    additionalGids: list[int]


class Box(TypedDict):
    """process.consoleSize, in characters"""

    height: int
    width: int


class Rlimit(TypedDict):
    """process.rlimits"""

    type: str
    soft: int
    hard: int


class Capabilities(TypedDict, total=False):
    """process.capabilities: names like CAP_CHOWN"""

    bounding: list[str]
    effective: list[str]
    permitted: list[str]
    inheritable: list[str]
    ambient: list[str]


class Process(TypedDict, total=False):
    """process, and the argument of an exec"""

    terminal: bool
    consoleSize: Box
    user: User
    args: list[str]
    env: list[str]
    cwd: str
    capabilities: Capabilities
    rlimits: list[Rlimit]
    noNewPrivileges: bool
    oomScoreAdj: int
    apparmorProfile: str
    selinuxLabel: str


class Root(TypedDict, total=False):
    """root"""

    path: str
    readonly: bool


class Mount(TypedDict, total=False):
    """mounts"""

    destination: str
    type: str
    source: str
    options: list[str]


class Hook(TypedDict, total=False):
    """hooks.*"""

    path: str
    args: list[str]
    env: list[str]
    timeout: int


class Hooks(TypedDict, total=False):
    """hooks"""

    createRuntime: list[Hook]
    createContainer: list[Hook]
    startContainer: list[Hook]
    prestart: list[Hook]
    poststart: list[Hook]
    poststop: list[Hook]


class Namespace(TypedDict, total=False):
    """linux.namespaces: a new one, or with `path` one to join"""

    type: str
    path: str


class IdMapping(TypedDict):
    """linux.uidMappings, linux.gidMappings"""

    containerID: int
    hostID: int
    size: int


class Device(TypedDict, total=False):
    """linux.devices"""

    path: str
    type: str
    major: int
    minor: int
    fileMode: int
    uid: int
    gid: int


class DeviceRule(TypedDict, total=False):
    """linux.resources.devices"""

    allow: bool
    type: str
    major: int
    minor: int
    access: str


class Memory(TypedDict, total=False):
    """linux.resources.memory, in bytes"""

    limit: int
    reservation: int
    swap: int
    kernel: int
    kernelTCP: int
    swappiness: int
    disableOOMKiller: bool
    useHierarchy: bool
    checkBeforeUpdate: bool


class Cpu(TypedDict, total=False):
    """linux.resources.cpu; periods and quotas in microseconds"""

    shares: int
    quota: int
    burst: int
    period: int
    realtimeRuntime: int
    realtimePeriod: int
    cpus: str
    mems: str
    idle: int


class Pids(TypedDict):
    """linux.resources.pids"""

    limit: int


class WeightDevice(TypedDict, total=False):
    """linux.resources.blockIO.weightDevice"""

    major: int
    minor: int
    weight: int
    leafWeight: int


class ThrottleDevice(TypedDict):
    """linux.resources.blockIO.throttle*"""

    major: int
    minor: int
    rate: int


class BlockIo(TypedDict, total=False):
    """linux.resources.blockIO"""

    weight: int
    leafWeight: int
    weightDevice: list[WeightDevice]
    throttleReadBpsDevice: list[ThrottleDevice]
    throttleWriteBpsDevice: list[ThrottleDevice]
    throttleReadIOPSDevice: list[ThrottleDevice]
    throttleWriteIOPSDevice: list[ThrottleDevice]


class HugepageLimit(TypedDict):
    """linux.resources.hugepageLimits"""

    pageSize: str
    limit: int


class Resources(TypedDict, total=False):
    """linux.resources"""

    devices: list[DeviceRule]
    memory: Memory
    cpu: Cpu
    pids: Pids
    blockIO: BlockIo
    hugepageLimits: list[HugepageLimit]
    unified: dict[str, str]


class SeccompArgument(TypedDict, total=False):
    """linux.seccomp.syscalls.args"""

    index: int
    value: int
    valueTwo: int
    op: str


class SeccompRule(TypedDict, total=False):
    """linux.seccomp.syscalls"""

    names: list[str]
    action: str
    errnoRet: int
    args: list[SeccompArgument]


class Seccomp(TypedDict, total=False):
    """linux.seccomp"""

    defaultAction: str
    defaultErrnoRet: int
    architectures: list[str]
    flags: list[str]
    listenerPath: str
    listenerMetadata: str
    syscalls: list[SeccompRule]


class TimeOffset(TypedDict, total=False):
    """linux.timeOffsets.*"""

    secs: int
    nanosecs: int


class Linux(TypedDict, total=False):
    """linux"""

    namespaces: list[Namespace]
    uidMappings: list[IdMapping]
    gidMappings: list[IdMapping]
    timeOffsets: dict[str, TimeOffset]
    devices: list[Device]
    cgroupsPath: str
    resources: Resources
    rootfsPropagation: str
    seccomp: Seccomp
    sysctl: dict[str, str]
    maskedPaths: list[str]
    readonlyPaths: list[str]
    mountLabel: str


class Spec(TypedDict, total=False):
    """config.json"""

    ociVersion: str
    process: Process
    root: Root
    hostname: str
    domainname: str
    mounts: list[Mount]
    hooks: Hooks
    annotations: dict[str, str]
    linux: Linux
