# SPDX-License-Identifier: Apache-2.0
"""A container's files as `docker cp` and `docker export` see them, running or not, by one descriptor of their root.

That is the image with what the container wrote and, for cp, its volumes, binds and network files; not its tmpfs, /proc
and /dev, which are no files of its own (so does dockerd). A running container's own mount is used, found through its
mount namespace; a stopped one is mounted anew, so the caller holds the container's lock as long as it is open.
Called by the jobs archive and export, in a thread. Source: overlayfs.rst "Sharing and copying layers", proc(5).
"""

from __future__ import annotations

import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from holdfast.containers import Container
from holdfast.containers.record import MountPoint
from holdfast.engine import mounting, rootfs
from holdfast.engine.packages import Packages
from holdfast.errors import HoldfastError, Internal, Unavailable
from holdfast.kernel import mount_view
from holdfast.kernel.mount_view import Attachment, View

_STAT_LIMIT = 4096


@contextmanager
def opened(packages: Packages, container: Container, *, with_mounts: bool) -> Generator[int]:
    """The descriptor of the root; gone with the block. Blocks for about a millisecond; Unavailable when it fails."""
    with ExitStack() as stack:
        try:
            attachments = _attachments(packages, container, stack) if with_mounts else []
            view = stack.enter_context(_view(packages, container, attachments, stack))
        except OSError as error:
            raise Unavailable(
                f"cannot look into container {container.id}: {(error.strerror or str(error)).lower()}"
            ) from error
        yield view.root_fd


def mount_at(container: Container, path: str) -> MountPoint | None:
    """The volume or bind that a cleaned absolute path lies in, None for the container's own file system."""
    for point in sorted(container.record.mounts, key=lambda point: len(point.destination), reverse=True):
        place = point.destination.rstrip("/")
        if point.type in ("volume", "bind", "image") and (path == place or path.startswith(f"{place}/")):
            return point
    return None


def _view(packages: Packages, container: Container, attachments: list[Attachment], stack: ExitStack) -> View:
    namespace_fd = _namespace_of(container)
    if namespace_fd is not None:
        stack.callback(os.close, namespace_fd)
        return mount_view.open_view(mount_view.root_of_namespace, namespace_fd, attachments)
    mounts = packages.snapshots.mounts(container.id)
    if len(mounts) != 1:
        raise Internal(f"a root file system of {len(mounts)} mounts cannot be mounted detached")
    return mount_view.open_view(lambda: rootfs.detached(mounts[0]), -1, attachments)


def _namespace_of(container: Container) -> int | None:
    """The mount namespace of the container's first process; None when there is none, though its end may be unreported.

    The process is proven by its parent, and all is read through one descriptor of /proc/PID, which never stands for a
    later process of the same number.
    """
    shim = container.shim
    if shim is None or not container.state.has_process:
        return None
    try:
        return _namespace_of_child(shim.pid, shim.shim_pid)
    except (FileNotFoundError, ProcessLookupError):
        return None


def _namespace_of_child(pid: int, parent_pid: int) -> int:
    """As above; FileNotFoundError, ProcessLookupError when it is not there any more."""
    directory_fd = os.open(f"/proc/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        stat_fd = os.open("stat", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory_fd)
        try:
            fields = os.read(stat_fd, _STAT_LIMIT).rpartition(b")")[2].split()
        finally:
            os.close(stat_fd)
        if int(fields[1]) != parent_pid:
            raise ProcessLookupError
        return os.open("ns/mnt", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory_fd)
    finally:
        os.close(directory_fd)


def _attachments(packages: Packages, container: Container, stack: ExitStack) -> list[Attachment]:
    record = container.record
    found: dict[str, Attachment] = {}
    for source, target in (
        (record.network.resolv_conf_path, "/etc/resolv.conf"),
        (record.network.hostname_path, "/etc/hostname"),
        (record.network.hosts_path, "/etc/hosts"),
    ):
        if source and os.path.exists(source):
            found[target] = Attachment(source, target, is_writable=not record.host_config.readonly_rootfs)
    for point in record.mounts:
        source = _source(packages, container, point, stack)
        if source is not None:
            found[point.destination] = Attachment(
                source, point.destination, is_writable=point.rw, subpath=point.subpath
            )
    return list(found.values())


def _source(packages: Packages, container: Container, point: MountPoint, stack: ExitStack) -> str | int | None:
    """A path, or the descriptor of a detached mount, which the stack closes; None for what holds no files."""
    if point.type == "bind":
        return point.source if os.path.exists(point.source) else None
    try:
        if point.type == "volume":
            return stack.enter_context(packages.volumes.mounted(point.name))
        if point.type == "image":
            fd = rootfs.detached(packages.snapshots.mounts(mounting.view_key(container.id, point.destination))[0])
            stack.callback(os.close, fd)
            return fd
    except HoldfastError:
        return None
    return None
