# SPDX-License-Identifier: Apache-2.0
"""What some containers need on the host beside their root: a program for `--init`, a /dev/shm that others can join.

Both lie in the container's own directory, so that no container can touch another's. Most containers need neither and
cost nothing here. Called by the job start (through `surroundings`) and by whoever cleans up after a container.
"""

from __future__ import annotations

import contextlib
import os

from holdfast.containers import Record, namespace_modes
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, InvalidArgument, NotFound
from holdfast.kernel import mount
from holdfast.oci import platform
from holdfast.runtime import tiny_init

_INIT, _SHM = "docker-init", "shm"
_HOST_SHM = "/dev/shm"
_NOT_SHAREABLE = "non-shareable IPC (hint: use IpcMode:shareable for the donor container)"


def init_source(packages: Packages, record: Record) -> str:
    """The program for the container's init, written anew; empty when it wants none or shares others' processes."""
    host, settings = record.host_config, packages.config
    wants_init = settings.has_init if host.init is None else host.init
    if not wants_init or host.pid_mode:
        return ""
    if settings.init_path:
        return settings.init_path
    program = tiny_init.program(platform.of_machine(os.uname().machine).architecture)
    path = f"{settings.container_directory(record.id)}/{_INIT}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    try:
        os.write(fd, program)
        os.fchmod(fd, 0o555)
    finally:
        os.close(fd)
    return path


def shm_source(packages: Packages, record: Record) -> str:
    """The host's directory that becomes /dev/shm; empty for a private one. InvalidArgument for one that cannot be joined."""
    mode = record.host_config.ipc_mode
    if mode == "host":
        return _HOST_SHM
    if mode == "shareable":
        return _mounted_shm(packages, record)
    reference = namespace_modes.joined_container(mode)
    if reference is None:
        return ""
    return _donor_shm(packages, packages.containers.find(reference).record)


def release(packages: Packages, record: Record) -> None:
    """Unmounts what was mounted for a container that has ended; idempotent. One system call for those that share."""
    if record.host_config.ipc_mode != "shareable":
        return
    with contextlib.suppress(OSError):  # not mounted
        mount.unmount(_shm_path(packages, record))


def _donor_shm(packages: Packages, donor: Record) -> str:
    """Follows containers that joined others themselves."""
    seen: set[str] = set()
    while (reference := namespace_modes.joined_container(donor.host_config.ipc_mode)) is not None:
        if donor.id in seen:
            raise Conflict(f"the IPC modes of container {donor.id} lead in a circle")
        seen.add(donor.id)
        try:
            donor = packages.containers.find(reference).record
        except NotFound as error:
            raise InvalidArgument(error.message) from None
    mode = donor.host_config.ipc_mode
    if mode == "host":
        return _HOST_SHM
    if mode != "shareable":
        raise InvalidArgument(f"failed to join IPC namespace: container {donor.id}: {_NOT_SHAREABLE}")
    return _shm_path(packages, donor)


def _mounted_shm(packages: Packages, record: Record) -> str:
    path = _shm_path(packages, record)
    release(packages, record)  # a start that failed may have left one
    os.makedirs(path, 0o700, exist_ok=True)
    attributes = mount.ATTR_NOSUID | mount.ATTR_NODEV | mount.ATTR_NOEXEC
    options = ("mode=1777", f"size={record.host_config.shm_size}")
    fd = mount.new("tmpfs", options, source="shm", attributes=attributes)
    try:
        mount.attach_at(fd, path)
    finally:
        os.close(fd)
    return path


def _shm_path(packages: Packages, record: Record) -> str:
    return f"{packages.config.container_directory(record.id)}/{_SHM}"
