# SPDX-License-Identifier: Apache-2.0
"""Gathers what the host contributes to a container's spec: identity, joined namespaces, files, volumes, devices.

Called by the job start, under the container's lock. Looks at the host and changes nothing.
"""

from __future__ import annotations

import functools
import os
import posixpath
from collections.abc import Sequence

from holdfast.containers import Record, cdi, device_requests, devices, namespace_modes, rootfs_view, users
from holdfast.containers.config import HostConfig
from holdfast.containers.container import Container
from holdfast.containers.spec import HostDevice, Surroundings
from holdfast.containers.users import Identity
from holdfast.engine import links, sandbox_files
from holdfast.engine.mounting import Sources
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, InvalidArgument, NotFound
from holdfast.kernel import paths
from holdfast.networks import Attachment

FILE_LIMIT = 4 << 20
_SYSTEM = os.uname()


def gather(packages: Packages, container: Container, attachment: Attachment, sources: Sources) -> Surroundings:
    """Everything for `spec.compile_spec`; InvalidArgument, Conflict for what is missing. Blocks for about 0.1 ms."""
    record = container.record
    host = record.host_config
    joined = _joined(packages, host)
    edits = device_requests.edits_for(host, packages.config.cdi_spec_directories) if host.device_requests else None
    return Surroundings(
        identity=_identity(packages, record),
        netns_path=attachment.netns_path,
        hostname=record.config.hostname,
        cgroup_path=cgroup_path(packages, record),
        cgroup_version=packages.config.cgroup_version,
        bounding=frozenset(packages.machine.bounding_capabilities),
        joined=joined,
        files=_files(attachment),
        volume_sources=sources.volumes,
        image_mounts=sources.images,
        devices=_devices(host, edits),
        edits=edits,
        standard=packages.config.sandbox,
        shm_source=sandbox_files.shm_source(packages, record),
        init_source=sandbox_files.init_source(packages, record),
        machine=_SYSTEM.machine,
        kernel=_SYSTEM.release,
        has_apparmor=packages.config.has_apparmor,
        linked=links.environment(packages, record),
    )


def cgroup_path(packages: Packages, record: Record) -> str:
    """The container's control group, on every hierarchy."""
    parent = record.host_config.cgroup_parent or packages.config.cgroup_parent
    return posixpath.normpath(f"/{parent.strip('/')}/{record.id}")


def runtime_command(packages: Packages, record: Record) -> tuple[str, ...]:
    """The command of the container's runtime, empty for our own; InvalidArgument when it was taken away since."""
    name = record.host_config.runtime or packages.config.default_runtime
    command = packages.config.runtimes.get(name, ())
    if not command and name not in (*packages.machine.runtimes, "runc"):
        raise InvalidArgument(f"unknown or invalid runtime name: {name}")
    return command


def resolve_running(pid: int, user: str, group_add: Sequence[str]) -> Identity:
    """The identity for an exec, with the files as the running container sees them; Conflict when it has just ended."""
    try:
        root_fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:  # its first process is dead, though nobody has reported it yet
        raise Conflict("container is not running") from None
    try:
        return users.resolve(user, group_add, _read(root_fd, "/etc/passwd"), _read(root_fd, "/etc/group"))
    finally:
        os.close(root_fd)


def running(packages: Packages, container_id: str, what: str) -> Container:
    """A container to be joined; InvalidArgument, Conflict in Docker's words when it cannot be."""
    try:
        other = packages.containers.find(container_id)
    except NotFound as error:
        raise InvalidArgument(f"joining {what} namespace of container: {error.message}") from None
    if not other.state.has_process:
        raise Conflict(
            f"cannot join {what} namespace of a non running container: container {other.name} is {other.state.status}"
        )
    return other


def _read(root_fd: int, path: str) -> bytes:
    try:
        return paths.read_file(root_fd, path, FILE_LIMIT)
    except OSError:
        return b""


def _identity(packages: Packages, record: Record) -> Identity:
    layers = packages.snapshots.layers(record.id)
    has_own_etc = bool(layers) and os.path.lexists(f"{layers[0]}/etc")
    chain = record.chain_id or ""
    passwd, group = (
        _accounts(tuple(layers)) if has_own_etc or not chain else _accounts_of_image(chain, tuple(layers[1:]))
    )
    return users.resolve(record.config.user, record.host_config.group_add or (), passwd, group)


def _accounts(layers: tuple[str, ...]) -> tuple[bytes, bytes]:
    if not layers:
        return b"", b""
    return (
        rootfs_view.read_file(layers, "/etc/passwd", FILE_LIMIT),
        rootfs_view.read_file(layers, "/etc/group", FILE_LIMIT),
    )


@functools.lru_cache(maxsize=256)
def _accounts_of_image(chain_id: str, layers: tuple[str, ...]) -> tuple[bytes, bytes]:
    """A chain never changes, so its files are read once."""
    return _accounts(layers)


def _joined(packages: Packages, host: HostConfig) -> dict[str, str]:
    found: dict[str, str] = {}
    for kind, mode in (("pid", host.pid_mode), ("ipc", host.ipc_mode)):
        reference = namespace_modes.joined_container(mode)
        if reference is not None:
            found[kind] = f"/proc/{_donor(packages, reference, kind).state.pid}/ns/{kind}"
    return found


def _donor(packages: Packages, reference: str, kind: str) -> Container:
    """The running container whose pid or ipc namespace is joined; InvalidArgument, Conflict in Docker's words."""
    try:
        other = packages.containers.find(reference)
    except NotFound as error:
        raise InvalidArgument(f"failed to join {kind.upper()} namespace: {error.message}") from None
    if not other.state.has_process:
        raise Conflict(f"failed to join {kind.upper()} namespace: container {other.id} is not running")
    return other


def _files(attachment: Attachment) -> list[tuple[str, str]]:
    wanted = (
        (attachment.resolv_conf_path, "/etc/resolv.conf"),
        (attachment.hostname_path, "/etc/hostname"),
        (attachment.hosts_path, "/etc/hosts"),
    )
    return [(str(source), target) for source, target in wanted if source is not None]


def _devices(host: HostConfig, edits: cdi.Edits | None) -> list[HostDevice]:
    found = devices.all_of_host() if host.privileged else []
    for mapping in host.devices or ():
        found += devices.from_mapping(mapping)
    if edits is not None:
        found += [devices.from_cdi(node) for node in edits.nodes]
    return found
