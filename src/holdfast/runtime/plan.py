# SPDX-License-Identifier: Apache-2.0
"""The plan of a start: an OCI runtime-spec document checked and turned into what the init will do, in its order.

Pure: no file is opened, no process asked, so a plan can be tested and printed. `container` and `exec` apply it. What the
document asks for wrongly is refused here, before anything exists. Source: OCI runtime-spec v1.2 (config, config-linux).
"""

from __future__ import annotations

from holdfast.kernel import capabilities, mount, namespaces, process
from holdfast.runtime import defaults
from holdfast.runtime.errors import StartError
from holdfast.runtime.mounts import PlannedMount, clean, plan_mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from holdfast.oci.mount import Mount
    from holdfast.runtime.mounts import IdMaps

_ROOT_PROPAGATION = {
    "": (mount.MS_SLAVE, True),
    "private": (mount.MS_PRIVATE, False),
    "rprivate": (mount.MS_PRIVATE, True),
    "slave": (mount.MS_SLAVE, False),
    "rslave": (mount.MS_SLAVE, True),
    "shared": (mount.MS_SHARED, False),
    "rshared": (mount.MS_SHARED, True),
    "unbindable": (mount.MS_UNBINDABLE, False),
    "runbindable": (mount.MS_UNBINDABLE, True),
}
_DEVICE_TYPES = {"c": 0o020000, "u": 0o020000, "b": 0o060000, "p": 0o010000}


class Capabilities:
    """The five sets as masks."""

    __slots__ = ("ambient", "bounding", "effective", "inheritable", "permitted")

    def __init__(self, bounding: int, effective: int, permitted: int, inheritable: int, ambient: int) -> None:
        self.bounding = bounding
        self.effective = effective
        self.permitted = permitted
        self.inheritable = inheritable
        self.ambient = ambient

    def limited_to(self, own: int) -> Capabilities:
        """What of it a process with the bounding set `own` can give."""
        return Capabilities(
            self.bounding & own,
            self.effective & own,
            self.permitted & own,
            self.inheritable & own,
            self.ambient & own,
        )


class ProcessPlan:
    """How the command runs: argv, environment, identity, limits, terminal."""

    __slots__ = (
        "apparmor_profile",
        "argv",
        "capabilities",
        "console_size",
        "cwd",
        "environment",
        "gid",
        "groups",
        "has_home",
        "no_new_privileges",
        "oom_score_adj",
        "rlimits",
        "search_path",
        "terminal",
        "uid",
        "umask",
    )

    apparmor_profile: str
    argv: list[str]
    capabilities: Capabilities | None
    console_size: tuple[int, int] | None
    cwd: str
    environment: dict[str, str]
    gid: int
    groups: tuple[int, ...]
    has_home: bool
    no_new_privileges: bool
    oom_score_adj: int | None
    rlimits: tuple[tuple[int, int, int], ...]
    search_path: tuple[str, ...]
    terminal: bool
    uid: int
    umask: int


class Device:
    """A node below the container's root; `kind` is a file type bit pattern of mknod(2)."""

    __slots__ = ("gid", "kind", "major", "minor", "mode", "path", "uid")

    def __init__(self, path: str, kind: int, major: int, minor: int, mode: int, uid: int, gid: int) -> None:
        self.path = path
        self.kind = kind
        self.major = major
        self.minor = minor
        self.mode = mode
        self.uid = uid
        self.gid = gid


class Plan:
    """Everything that the init does before execve."""

    __slots__ = (
        "clone_flags",
        "devices",
        "domainname",
        "gid_map",
        "has_plain_dev",
        "hostname",
        "joins",
        "keyring_name",
        "masked_paths",
        "mounts",
        "process",
        "readonly_paths",
        "root_is_readonly",
        "root_path",
        "root_propagation",
        "rootfs_mounts",
        "sets_up_dev",
        "sysctls",
        "time_offsets",
        "uid_map",
    )

    clone_flags: int
    devices: tuple[Device, ...]
    domainname: str
    gid_map: tuple[tuple[int, int, int], ...]
    has_plain_dev: bool
    hostname: str
    joins: tuple[tuple[int, str], ...]
    keyring_name: str
    masked_paths: tuple[str, ...]
    mounts: tuple[PlannedMount, ...]
    process: ProcessPlan
    readonly_paths: tuple[str, ...]
    root_is_readonly: bool
    root_path: str
    root_propagation: tuple[int, bool]
    rootfs_mounts: tuple[PlannedMount, ...] | None
    sets_up_dev: bool
    sysctls: tuple[tuple[str, str], ...]
    time_offsets: str
    uid_map: tuple[tuple[int, int, int], ...]


def plan_create(container_id: str, spec: dict[str, Any], rootfs_mounts: Sequence[Mount] | None, bundle: str) -> Plan:
    """The plan of a new container."""
    linux: dict[str, Any] = spec.get("linux") or {}
    root: dict[str, Any] = spec.get("root") or {}
    plan = Plan()
    plan.process = plan_process(spec.get("process") or {})
    plan.clone_flags, plan.joins = _plan_namespaces(linux.get("namespaces") or [])
    plan.uid_map = _id_map(linux.get("uidMappings"))
    plan.gid_map = _id_map(linux.get("gidMappings"))
    plan.time_offsets = _time_offsets(linux.get("timeOffsets") or {})
    plan.hostname = spec.get("hostname") or ""
    plan.domainname = spec.get("domainname") or ""
    plan.keyring_name = f"_ses.{container_id}"
    root_path = root.get("path") or "rootfs"
    plan.root_path = root_path if root_path.startswith("/") else f"{bundle.rstrip('/')}/{root_path}"
    plan.root_is_readonly = bool(root.get("readonly"))
    propagation = linux.get("rootfsPropagation") or ""
    if propagation not in _ROOT_PROPAGATION:
        raise StartError(f"rootfsPropagation={propagation} is not supported", step="plan")
    plan.root_propagation = _ROOT_PROPAGATION[propagation]
    plan.rootfs_mounts = (
        None
        if rootfs_mounts is None
        else tuple(plan_mount(m.type, m.source, m.target or "/", m.options, bundle) for m in rootfs_mounts)
    )
    plan.mounts = tuple(_plan_mount(m, plan, bundle) for m in spec.get("mounts") or ())
    plan.sets_up_dev = not any(m.bind and m.target == "/dev" for m in plan.mounts)
    plan.devices = _plan_devices(linux.get("devices") or ())
    plan.has_plain_dev = (
        plan.sets_up_dev
        and sum(m.target == "/dev" for m in plan.mounts) == 1
        and all(device.path.startswith("/dev/") and device.path.count("/") == 2 for device in plan.devices)
    )
    plan.masked_paths = tuple(linux.get("maskedPaths") or ())
    plan.readonly_paths = tuple(linux.get("readonlyPaths") or ())
    plan.sysctls = _plan_sysctls(linux.get("sysctl") or {}, plan)
    return plan


def _plan_mount(document: dict[str, Any], plan: Plan, bundle: str) -> PlannedMount:
    options: Sequence[str] = document.get("options") or ()
    planned = plan_mount(
        document.get("type") or "", document.get("source") or "", document["destination"], options, bundle
    )
    planned.subpath = document.get("subpath") or ""
    planned.id_maps = id_maps(document.get("uidMappings"), document.get("gidMappings"))
    if planned.id_maps is None and ("idmap" in options or "ridmap" in options):
        planned.id_maps = (plan.uid_map, plan.gid_map)
    if planned.id_maps is not None and not all(planned.id_maps):
        raise StartError(f"the mount at {planned.target} has no id mapping for users and groups", step="plan")
    return planned


def id_maps(users: Sequence[dict[str, int]] | None, groups: Sequence[dict[str, int]] | None) -> IdMaps | None:
    """A mount's own maps, None when it has none."""
    return (_id_map(users), _id_map(groups)) if users or groups else None


def plan_process(document: dict[str, Any]) -> ProcessPlan:
    """The plan of one command, first or exec'd."""
    plan = ProcessPlan()
    plan.argv = list(document.get("args") or ())
    if not plan.argv:
        raise StartError("process.args is empty: no command specified", step="plan")
    plan.environment = {}
    for entry in document.get("env") or ():
        name, equals, value = entry.partition("=")
        if equals and name and "\0" not in entry:
            plan.environment[name] = value
    plan.has_home = bool(plan.environment.get("HOME"))
    plan.search_path = tuple(plan.environment.get("PATH", "").split(":")) if "PATH" in plan.environment else ()
    cwd = document.get("cwd") or "/"
    if not cwd.startswith("/"):
        raise StartError(f"cwd must be an absolute path: {cwd}", step="plan")
    plan.cwd = cwd
    user: dict[str, Any] = document.get("user") or {}
    plan.uid = int(user.get("uid") or 0)
    plan.gid = int(user.get("gid") or 0)
    plan.groups = tuple(int(group) for group in user.get("additionalGids") or ())
    umask = user.get("umask")
    plan.umask = 0o022 if umask is None else int(umask)
    plan.apparmor_profile = document.get("apparmorProfile") or ""
    plan.capabilities = _plan_capabilities(document.get("capabilities"))
    plan.no_new_privileges = bool(document.get("noNewPrivileges"))
    plan.oom_score_adj = document.get("oomScoreAdj")
    plan.rlimits = _plan_rlimits(document.get("rlimits") or ())
    plan.terminal = bool(document.get("terminal"))
    size: dict[str, Any] | None = document.get("consoleSize")
    plan.console_size = (int(size.get("height") or 0), int(size.get("width") or 0)) if size else None
    return plan


def _plan_namespaces(entries: Sequence[dict[str, Any]]) -> tuple[int, tuple[tuple[int, str], ...]]:
    flags = 0
    joins: list[tuple[int, str]] = []
    seen = 0
    for entry in entries:
        kind = namespaces.FLAGS.get(entry.get("type") or "")
        if kind is None:
            raise StartError(f"namespace {entry.get('type')!r} does not exist", step="plan")
        if seen & kind:
            raise StartError(f"malformed spec file: duplicated ns {entry.get('type')!r}", step="plan")
        seen |= kind
        path = entry.get("path") or ""
        if path:
            joins.append((kind, path))
        else:
            flags |= kind
    if not seen & namespaces.NEWNS:
        raise StartError("a container without a mount namespace of its own is not supported", step="plan")
    return flags, tuple(joins)


def _plan_capabilities(document: dict[str, list[str]] | None) -> Capabilities | None:
    """None leaves the sets as they are (runc does so for a process without `capabilities`)."""
    if document is None:
        return None
    bounding, effective, permitted, inheritable, ambient = (
        _mask(document.get(name) or ()) for name in ("bounding", "effective", "permitted", "inheritable", "ambient")
    )
    # the kernel raises an ambient capability only when it is permitted and inheritable; runc lets the others go, too
    return Capabilities(bounding, effective, permitted, inheritable, ambient & permitted & inheritable)


def _mask(names: Sequence[str]) -> int:
    """Names that this kernel does not know are left out, as runc does, so that newer tables work on older kernels."""
    return capabilities.mask(name for name in names if name in capabilities.BITS)


def _plan_rlimits(entries: Sequence[dict[str, Any]]) -> tuple[tuple[int, int, int], ...]:
    limits: list[tuple[int, int, int]] = []
    for entry in entries:
        resource = process.RLIMITS.get(entry.get("type") or "")
        if resource is None:
            raise StartError(f"wrong rlimit value: {entry.get('type')}", step="plan")
        soft, hard = int(entry.get("soft") or 0), int(entry.get("hard") or 0)
        limits.append((resource, soft & process.INFINITY, hard & process.INFINITY))
    return tuple(limits)


def _plan_devices(entries: Sequence[dict[str, Any]]) -> tuple[Device, ...]:
    nodes: dict[str, Device] = {}
    for path, kind, major, minor, mode in defaults.DEVICES:
        nodes[path] = Device(path, _DEVICE_TYPES[kind], major, minor, mode, 0, 0)
    for entry in entries:
        kind_bits = _DEVICE_TYPES.get(entry.get("type") or "")
        if kind_bits is None:
            raise StartError(f"invalid device type {entry.get('type')!r} for {entry.get('path')}", step="plan")
        path = clean(entry["path"])
        nodes[path] = Device(
            path,
            kind_bits,
            int(entry.get("major") or 0),
            int(entry.get("minor") or 0),
            int(entry.get("fileMode") or 0o666) & 0o7777,
            int(entry.get("uid") or 0),
            int(entry.get("gid") or 0),
        )
    return tuple(nodes.values())


def _plan_sysctls(document: dict[str, str], plan: Plan) -> tuple[tuple[str, str], ...]:
    own = plan.clone_flags
    for kind, _ in plan.joins:
        own |= kind
    return tuple((_sysctl_path(name, own), value) for name, value in document.items())


def _sysctl_path(name: str, own: int) -> str:
    """The file below /proc/sys; refuses what is not of a namespace that the container has for itself."""
    path = name if "/" in name else name.replace(".", "/")
    dotted = path.replace("/", ".")
    if "\0" in name or any(part in ("", ".", "..") for part in path.split("/")):
        raise StartError(f'sysctl "{name}" is not a name', step="plan")
    if dotted in defaults.NAMESPACED_SYSCTLS or dotted.startswith("fs.mqueue."):
        allowed, refusal = own & namespaces.NEWIPC, "is not allowed in the hosts ipc namespace"
    elif dotted.startswith("net."):
        allowed, refusal = own & namespaces.NEWNET, "not allowed in host network namespace"
    elif dotted in ("kernel.domainname", "kernel.hostname"):
        allowed, refusal = own & namespaces.NEWUTS, "is not in a separate kernel namespace"
    else:
        allowed, refusal = 0, "is not in a separate kernel namespace"
    if not allowed:
        raise StartError(f'sysctl "{name}" {refusal}', step="plan")
    return path


def _id_map(entries: Sequence[dict[str, int]] | None) -> tuple[tuple[int, int, int], ...]:
    return tuple((int(e["containerID"]), int(e["hostID"]), int(e["size"])) for e in entries or ())


def _time_offsets(document: dict[str, dict[str, int]]) -> str:
    return "".join(
        f"{clock} {offset.get('secs') or 0} {offset.get('nanosecs') or 0}\n" for clock, offset in document.items()
    )
