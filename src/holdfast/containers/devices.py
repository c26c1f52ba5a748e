# SPDX-License-Identifier: Apache-2.0
"""The host's device nodes for a container: those of `--device`, or all of them for a privileged one.

Looks at /dev and nothing else. Called by the job start. Source: moby 28 `daemon/oci_linux.go`, mknod(2).
"""

from __future__ import annotations

import os
import stat

from holdfast.containers.cdi import DeviceNode
from holdfast.containers.config import DeviceMapping
from holdfast.containers.spec import HostDevice
from holdfast.errors import InvalidArgument

_SKIPPED = frozenset(("pts", "shm", "fd", "mqueue", "console", ".lxc", ".lxd-mounts", ".udev"))


def from_mapping(mapping: DeviceMapping) -> list[HostDevice]:
    """One `--device`: a node, or every node of a directory."""
    source = mapping.path_on_host
    target = mapping.path_in_container or source
    access = mapping.cgroup_permissions or "rwm"
    if not set(access) <= set("rwm"):
        raise InvalidArgument(f"invalid device mode: {access}")
    try:
        status = os.stat(source)
    except OSError as error:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": '
            f"{(error.strerror or 'unreadable').lower()}"
        ) from None
    if stat.S_ISDIR(status.st_mode):
        found = _below(source, target, access)
    else:
        device = _describe(target, status, access)
        found = [] if device is None else [device]
    if not found:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": not a device node'
        )
    return found


def from_cdi(node: DeviceNode) -> HostDevice:
    """One node of a CDI device; what its file leaves open is as the host has it."""
    status = None
    if None in (node.kind, node.major, node.minor):
        try:
            status = os.stat(node.host_path)
        except OSError as error:
            reason = (error.strerror or "unreadable").lower()
            raise InvalidArgument(f"CDI device injection failed: {node.host_path}: {reason}") from None
    found = _describe(node.path, status, node.access) if status else None
    if status and found is None:
        raise InvalidArgument(f"CDI device injection failed: {node.host_path} is not a device node")
    kind = node.kind or (found.kind if found else "c")
    return HostDevice(
        path=node.path,
        kind=kind,
        major=_first(node.major, found.major if found else 0),
        minor=_first(node.minor, found.minor if found else 0),
        mode=_first(node.mode, found.mode if found else 0o666),
        uid=_first(node.uid, found.uid if found else 0),
        gid=_first(node.gid, found.gid if found else 0),
        access=node.access,
    )


def _first(given: int | None, otherwise: int) -> int:
    return otherwise if given is None else given


def all_of_host() -> list[HostDevice]:
    """Every node below /dev but terminals and what the runtime makes itself."""
    return _below("/dev", "/dev", "rwm")


def _below(source: str, target: str, access: str) -> list[HostDevice]:
    found: list[HostDevice] = []
    with os.scandir(source) as entries:
        for entry in entries:
            if source == "/dev" and entry.name in _SKIPPED:
                continue
            if entry.is_dir(follow_symlinks=False):
                found += _below(entry.path, f"{target}/{entry.name}", access)
            elif not entry.is_symlink():
                device = _describe(f"{target}/{entry.name}", entry.stat(follow_symlinks=False), access)
                if device is not None:
                    found.append(device)
    return found


def _describe(path: str, status: os.stat_result, access: str) -> HostDevice | None:
    if stat.S_ISCHR(status.st_mode):
        kind = "c"
    elif stat.S_ISBLK(status.st_mode):
        kind = "b"
    else:
        return None
    return HostDevice(
        path=path,
        kind=kind,
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        access=access,
    )
