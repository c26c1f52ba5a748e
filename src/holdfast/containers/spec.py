# SPDX-License-Identifier: Apache-2.0
"""Compiles a container into the OCI runtime-spec document that the runtime executes.

Pure: everything that must be looked up on the host comes in as `Surroundings`. The default sandbox is `runtime.defaults`
(security.md §3), options only change what they name. Called by the job start; the golden test holds every value.
Source: OCI runtime-spec v1.2; moby 28 `daemon/oci_linux.go`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast.containers import cdi, id_maps, mount_wishes, sandbox, seccomp_file
from holdfast.containers.config import strings
from holdfast.containers.record import MountPoint, Record
from holdfast.containers.resources import compile_resources
from holdfast.containers.users import Identity
from holdfast.errors import InvalidArgument
from holdfast.oci.mount import Mount
from holdfast.runtime import defaults

# fmt: off
RLIMITS = (
    "as", "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)
# fmt: on

INIT_PATH = "/sbin/docker-init"
"""Where the init is in the container, as with dockerd."""

_LARGEST_TERMINAL = 0xFFFF
_INIT_WORDS = (INIT_PATH, "--")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostDevice:
    """A device node of the host."""

    path: str
    kind: str
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0
    access: str = "rwm"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the host contributes: identity, namespaces to join, files, devices, limits of the daemon itself.

    `netns_path` None is the host's network. `joined` maps pid, ipc to a path under /proc; a missing key is an own
    namespace. `bounding` are the capabilities that this daemon can give at all. `init_source` is the program of an init,
    empty for none; `machine` and `kernel` are uname(2)'s.
    """

    identity: Identity
    netns_path: str | None
    hostname: str
    cgroup_path: str
    cgroup_version: int
    bounding: frozenset[str]
    joined: Mapping[str, str] = field(default_factory=dict[str, str])
    files: Sequence[tuple[str, str]] = ()
    volume_sources: Mapping[str, str] = field(default_factory=dict[str, str])
    image_mounts: Mapping[str, Mount] = field(default_factory=dict[str, Mount])
    devices: Sequence[HostDevice] = ()
    edits: cdi.Edits | None = None
    linked: Sequence[str] = ()
    standard: sandbox.SandboxDefaults = sandbox.STANDARD
    shm_source: str = ""
    init_source: str = ""
    machine: str = "x86_64"
    kernel: str = ""
    has_apparmor: bool = False


def compile_spec(record: Record, around: Surroundings) -> dict[str, Any]:
    """The document; InvalidArgument for options that only now turn out to be impossible."""
    host = record.host_config
    options = sandbox.parse_security_options(host.security_opt or (), around.standard)
    linux: dict[str, Any] = {
        "namespaces": _namespaces(record, around),
        "resources": compile_resources(host, around.devices),
        "cgroupsPath": around.cgroup_path,
        "sysctl": _sysctls(record, around),
        "maskedPaths": [] if host.privileged else _masked(record),
        "readonlyPaths": [] if host.privileged else _readonly(record),
        "devices": _device_nodes(around.devices),
    }
    if propagation := _root_propagation(record):
        linux["rootfsPropagation"] = propagation
    if options.seccomp_profile is not None and _has_filter(record, options):
        names = capabilities(record, around.bounding)
        linux["seccomp"] = seccomp_file.reduce(options.seccomp_profile, names, around.machine, around.kernel)
    document: dict[str, Any] = {
        "ociVersion": "1.2.1",
        "process": _process(record, around, options),
        "root": {"path": "rootfs", "readonly": host.readonly_rootfs},
        "mounts": _mounts(record, around, options),
        "linux": linux,
    }
    if host.annotations:
        document["annotations"] = dict(host.annotations)
    if host.uts_mode != "host":
        document["hostname"] = around.hostname
        if record.config.domainname:
            document["domainname"] = record.config.domainname
    if around.edits is not None:
        cdi.apply(around.edits, document)
    return document


def seccomp_mode(record: Record, standard: sandbox.SandboxDefaults) -> str:
    """What the launch says when the document has no profile of its own."""
    options = sandbox.parse_security_options(record.host_config.security_opt or (), standard)
    is_builtin = options.seccomp == sandbox.BUILTIN and not record.host_config.privileged
    return "default" if is_builtin else "unconfined"


def _has_filter(record: Record, options: sandbox.SecurityOptions) -> bool:
    """A privileged container has the filter that its own options name, not the daemon's."""
    is_own = any(word.startswith(("seccomp=", "seccomp:")) for word in record.host_config.security_opt or ())
    return options.seccomp == "" and (is_own or not record.host_config.privileged)


def environment(
    record: Record, hostname: str, home: str, *, tty: bool | None = None, linked: Sequence[str] = ()
) -> list[str]:
    """PATH, HOSTNAME, TERM, what the user and the image want (last wins), HOME."""
    base = [f"PATH={defaults.PATH}", f"HOSTNAME={hostname}"]
    if record.config.tty if tty is None else tty:
        base.append("TERM=xterm")
    names: dict[str, str] = {}
    for entry in [*base, *linked, *(record.config.env or ())]:
        name, equals, _ = entry.partition("=")
        if equals:
            names[name] = entry
        else:
            names.pop(name, None)
    if "HOME" not in names and home:
        names["HOME"] = f"HOME={home}"
    return list(names.values())


def capabilities(record: Record, bounding: frozenset[str]) -> list[str]:
    """The names that the container gets, in the kernel's order; never more than the daemon has."""
    host = record.host_config
    wanted = sandbox.effective_capabilities(strings(host.cap_add) or (), strings(host.cap_drop) or (), host.privileged)
    return [name for name in wanted if name in bounding]


def terminal_size(size: Sequence[int]) -> dict[str, int]:
    """Height and width, no larger than a terminal can be."""
    return {"height": min(size[0], _LARGEST_TERMINAL), "width": min(size[1], _LARGEST_TERMINAL)}


def process_capabilities(names: Sequence[str]) -> dict[str, list[str]]:
    """The five sets; inheritable and ambient stay empty (CVE-2022-24769). The runtime clears them for other users."""
    return {
        "bounding": list(names),
        "effective": list(names),
        "permitted": list(names),
        "inheritable": [],
        "ambient": [],
    }


def user_document(identity: Identity) -> dict[str, Any]:
    """The process's user."""
    return {"uid": identity.uid, "gid": identity.gid, "additionalGids": list(identity.groups)}


def _process(record: Record, around: Surroundings, options: sandbox.SecurityOptions) -> dict[str, Any]:
    config, host = record.config, record.host_config
    process: dict[str, Any] = {
        "terminal": config.tty,
        "user": user_document(around.identity),
        "args": [*_INIT_WORDS, record.path, *record.args] if around.init_source else [record.path, *record.args],
        "env": environment(record, around.hostname, around.identity.home, linked=around.linked),
        "cwd": config.working_dir or "/",
        "capabilities": process_capabilities(capabilities(record, around.bounding)),
        "rlimits": rlimits(record),
        "noNewPrivileges": options.no_new_privileges,
        "oomScoreAdj": host.oom_score_adj,
    }
    if around.has_apparmor and options.apparmor not in ("", sandbox.UNCONFINED):
        process["apparmorProfile"] = options.apparmor
    if config.tty and any(host.console_size):
        process["consoleSize"] = terminal_size(host.console_size)
    return process


def rlimits(record: Record) -> list[dict[str, Any]]:
    """The limits of every process of the container; InvalidArgument for a name that is none."""
    limits = {limit.name: (limit.soft, limit.hard) for limit in record.host_config.ulimits or ()}
    for name in limits:
        if name not in RLIMITS:
            raise InvalidArgument(f"wrong rlimit value: RLIMIT_{name.upper()}")
    return [
        {"type": f"RLIMIT_{name.upper()}", "soft": soft, "hard": hard} for name, (soft, hard) in sorted(limits.items())
    ]


def _namespaces(record: Record, around: Surroundings) -> list[dict[str, str]]:
    host = record.host_config
    found: list[dict[str, str]] = [{"type": "mount"}]
    if around.netns_path:
        found.append({"type": "network", "path": around.netns_path})
    if host.uts_mode != "host":
        found.append({"type": "uts"})
    for kind, mode in (("pid", host.pid_mode), ("ipc", host.ipc_mode)):
        if kind in around.joined:
            found.append({"type": kind, "path": around.joined[kind]})
        elif mode != "host":
            found.append({"type": kind})
    if host.cgroupns_mode == "private":
        found.append({"type": "cgroup"})
    return found


def _sysctls(record: Record, around: Surroundings) -> dict[str, str]:
    own: dict[str, str] = {}
    if around.netns_path and not record.host_config.network_mode.startswith("container:"):
        own.update(defaults.SYSCTLS)
    own.update(record.host_config.sysctls or {})
    if record.host_config.uts_mode == "host" and record.config.domainname:
        own["kernel.domainname"] = record.config.domainname  # which the runtime refuses, as runc does
    return own


def _masked(record: Record) -> list[str]:
    given = record.host_config.masked_paths
    return list(defaults.MASKED_PATHS if given is None else given)


def _readonly(record: Record) -> list[str]:
    given = record.host_config.readonly_paths
    return list(defaults.READONLY_PATHS) if given is None else list(given)


def _root_propagation(record: Record) -> str:
    """What the binds' own propagation needs of the root; empty for the default."""
    wanted = {point.propagation.removeprefix("r") for point in record.mounts}
    if "shared" in wanted:
        return "shared"
    return "rslave" if "slave" in wanted or record.host_config.privileged else ""


def _device_nodes(devices: Sequence[HostDevice]) -> list[dict[str, Any]]:
    return [
        {
            "path": device.path,
            "type": device.kind,
            "major": device.major,
            "minor": device.minor,
            "fileMode": device.mode,
            "uid": device.uid,
            "gid": device.gid,
        }
        for device in devices
    ]


def _mounts(record: Record, around: Surroundings, options: sandbox.SecurityOptions) -> list[dict[str, Any]]:
    """The standard mounts less those that the user covers, then the network's files and the user's own by depth.

    A volume on /etc is mounted before /etc/hosts, which it would hide.
    """
    host = record.host_config
    user = _user_mounts(record, around)
    covered = {mount["destination"] for mount in user}
    found: list[dict[str, Any]] = []
    for kind, source, target, words in defaults.MOUNTS:
        if target in covered or (target == "/dev/shm" and host.ipc_mode == "none"):
            continue
        if target == "/sys/fs/cgroup" and options.has_writable_cgroups is not None:
            words = tuple(word for word in words if word != "ro")
            words += () if options.has_writable_cgroups else ("ro",)
        found.append(_standard_mount(record, around, kind, source, target, words))
    files = [
        _bind(source, target, writable=not host.readonly_rootfs)
        for source, target in around.files
        if target not in covered
    ]
    if around.init_source:
        files.append(
            {"destination": INIT_PATH, "type": "bind", "source": around.init_source, "options": ["bind", "ro"]}
        )
    return found + sorted([*files, *user], key=_depth)


def _standard_mount(
    record: Record, around: Surroundings, kind: str, source: str, target: str, options: Sequence[str]
) -> dict[str, Any]:
    host = record.host_config
    words = list(options)
    if target == "/dev/shm":
        if around.shm_source:
            return {
                "destination": target,
                "type": "bind",
                "source": around.shm_source,
                "options": ["rbind", "rprivate", "nosuid", "noexec", "nodev"],
            }
        words = [word for word in words if not word.startswith("size=")] + [f"size={host.shm_size}"]
    if host.privileged and target in ("/sys", "/sys/fs/cgroup"):
        words = ["rw" if word == "ro" else word for word in words]
    return {"destination": target, "type": kind, "source": source, "options": words}


def _user_mounts(record: Record, around: Surroundings) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for point in record.mounts:
        if point.type == "tmpfs":
            found.append(_tmpfs(point.destination, point.options))
        elif point.type == "image":
            found.append(_image(point, around.image_mounts[point.destination]))
        else:
            source = around.volume_sources.get(point.destination) or point.source
            found.append(_volume(point, source))
    for destination, text in (record.host_config.tmpfs or {}).items():
        found.append(_tmpfs(destination, mount_wishes.tmpfs_options(text)))
    return found


def _depth(mount: dict[str, Any]) -> int:
    return mount["destination"].count("/")


def _tmpfs(destination: str, options: Sequence[str]) -> dict[str, Any]:
    return {"destination": destination, "type": "tmpfs", "source": "tmpfs", "options": list(options)}


def _volume(point: MountPoint, source: str) -> dict[str, Any]:
    is_recursive = "nonrecursive" not in point.options
    document = _bind(
        source,
        point.destination,
        writable=point.rw,
        propagation=point.propagation or "rprivate",
        recursive=is_recursive,
        protects_all=is_recursive and "readonly-nonrecursive" not in point.options,
    )
    return _shaped(document, point)


def _image(point: MountPoint, view: Mount) -> dict[str, Any]:
    document = {"destination": point.destination, "type": view.type, "source": view.source}
    return _shaped({**document, "options": list(dict.fromkeys((*view.options, "ro", "rprivate")))}, point)


def _shaped(document: dict[str, Any], point: MountPoint) -> dict[str, Any]:
    """With the part that is wanted and the ids that are mapped."""
    if point.subpath:
        document["subpath"] = point.subpath
    if point.id_map:
        document["uidMappings"], document["gidMappings"] = id_maps.oci(point.id_map)
        document["options"].append("idmap")
    return document


def _bind(
    source: str,
    target: str,
    *,
    writable: bool,
    propagation: str = "rprivate",
    recursive: bool = True,
    protects_all: bool = False,
) -> dict[str, Any]:
    words = ["rbind" if recursive else "bind", propagation]
    if not writable:
        words += ["ro", "rro"] if protects_all else ["ro"]
    return {"destination": target, "type": "bind", "source": source, "options": words}
