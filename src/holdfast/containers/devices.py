# SPDX-License-Identifier: Apache-2.0
"""The host's device nodes for a container: those of `--device`, or all of them for a privileged one.

Looks at /dev and nothing else. Called by the job start. Source: moby 28 `daemon/oci_linux.go`, mknod(2).
"""

from __future__ import annotations

import os
import stat

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
        return _below(source, target, access)
    found = _describe(target, status, access)
    if found is None:
        raise InvalidArgument(
            f'error gathering device information while adding custom device "{source}": not a device node'
        )
    return [found]


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
