# SPDX-License-Identifier: Apache-2.0
"""The local driver: `<root>/<name>/_data`, and what the options type, device and o mount there while it is used.

A directory is marked until its record is on disk, so a crash leaves either a volume or something that the next start
sweeps; directories without a record and without a mark (copied there by an administrator, or of a lost database) are
volumes. The mounts are in the daemon's mount namespace, at the mount point that inspect shows, as dockerd's are; they
outlive the daemon, and `settle` takes away those that nobody uses any more. Blocks for the disk, and for as long as a
file server takes to answer. Source: mount(2), moby 28 `volume/local`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping, Set

from holdfast.errors import HoldfastError, InvalidArgument, Unavailable
from holdfast.kernel import mount, mount_table
from holdfast.volumes import options as option_words
from holdfast.volumes import removal
from holdfast.volumes.options import PROPAGATION, MountPlan
from holdfast.volumes.volume import LOCAL, Volume, check_name

DATA = "_data"
_MARK = ".unfinished"
_TRASH = ".removed"
_OURS_TO_MEND = (errno.ENOENT, errno.ENOTDIR, errno.EINVAL, errno.ENODEV, errno.ENOTBLK, errno.EPERM, errno.EACCES)


class Local:
    """See the module and `driver.Driver`."""

    name = LOCAL
    scope = "local"

    def __init__(self, root: str, resolve: Callable[[str], str]) -> None:
        self._root = os.path.abspath(root)
        self._resolve = resolve
        os.makedirs(root, 0o701, exist_ok=True)

    def create(self, name: str, options: Mapping[str, str]) -> str:
        check_name(name)
        option_words.check(name, options)
        path = self.path(name)
        top = os.path.dirname(path)
        is_new = not os.path.isdir(top)
        os.makedirs(top, 0o701, exist_ok=True)
        if is_new:
            os.close(os.open(f"{top}/{_MARK}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
        os.makedirs(path, 0o755, exist_ok=True)
        os.chmod(path, 0o755)  # whatever the umask is
        return path

    def confirm(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{self._root}/{name}/{_MARK}")

    def mount(self, volume: Volume, user: str, *, is_first: bool) -> str:
        del user
        path = volume.mountpoint
        os.makedirs(path, 0o755, exist_ok=True)
        options = volume.options or {}
        if option_words.asks_for_mount(options) and is_first:
            self._unmount_all(path)
            self._mount(option_words.plan(options), path)
        return path

    def unmount(self, volume: Volume, user: str, *, is_last: bool) -> None:
        del user
        if option_words.asks_for_mount(volume.options or {}) and is_last:
            self._unmount_all(volume.mountpoint)

    def remove(self, volume: Volume) -> None:
        if volume.options:
            self._unmount_all(volume.mountpoint)  # or we would delete what is not ours
        with contextlib.suppress(FileNotFoundError):
            self._sweep(volume.name)

    def path(self, name: str) -> str:
        """The mount point of a volume of that name."""
        return f"{self._root}/{name}/{DATA}"

    def iter_found(self, known: Set[str]) -> Iterator[Volume]:
        """Sweeps away what was begun and not finished, and gives the volumes that no record knows."""
        for entry in list(os.scandir(self._root)):
            if entry.name.startswith(_TRASH):
                removal.remove_tree(entry.path)
                continue
            is_unfinished = os.path.lexists(f"{entry.path}/{_MARK}")
            if entry.name in known:
                if is_unfinished:
                    self.confirm(entry.name)
            elif is_unfinished:
                self._sweep(entry.name)
            elif os.path.isdir(self.path(entry.name)) and _is_name(entry.name):
                created = entry.stat(follow_symlinks=False).st_ctime_ns
                yield Volume(name=entry.name, mountpoint=self.path(entry.name), created_nanos=created)
            else:
                with contextlib.suppress(OSError):  # somebody's own files
                    os.rmdir(entry.path)  # a crash came before the mark

    def settle(self, in_use: Set[str]) -> list[str]:
        """Unmounts what is mounted on volumes that nobody uses (a daemon died before); returns the mount points."""
        settled: list[str] = []
        root = os.path.realpath(self._root)  # as the kernel tells it
        for entry in list(mount_table.entries()):
            path = entry.target
            if not path.startswith(f"{root}/") or not path.endswith(f"/{DATA}"):
                continue
            name = path[len(root) + 1 :].removesuffix(f"/{DATA}")
            if "/" not in name and name not in in_use:
                self._unmount_all(path)
                settled.append(path)
        return settled

    def _sweep(self, name: str) -> None:
        """Takes the directory out of the volumes at once, then deletes it: a crash between leaves no half of one."""
        trash = f"{self._root}/{_TRASH}-{secrets.token_hex(8)}"
        os.rename(f"{self._root}/{name}", trash)
        removal.remove_tree(trash)

    def _mount(self, plan: MountPlan, path: str) -> None:
        if plan.address:
            try:
                plan = plan.resolved(self._resolve(plan.address))
            except OSError as error:
                reason = error.strerror or str(error)
                raise Unavailable(
                    f"error while mounting volume '{path}': error resolving passed in network volume address: "
                    f"lookup {plan.address}: {reason.lower()}"
                ) from None
        try:
            _apply(plan, path)
        except OSError as error:
            text = option_words.failure(plan, path, os.strerror(error.errno or 0).lower())
            raise (InvalidArgument if error.errno in _OURS_TO_MEND else Unavailable)(text) from None

    def _unmount_all(self, path: str) -> None:
        """Whatever lies on the mount point, however often."""
        while True:
            try:
                mount.unmount(path, mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)
            except OSError as error:
                if error.errno in (errno.EINVAL, errno.ENOENT):
                    return
                raise


def resolve_host(name: str) -> str:
    """An address of a host, of IPv4 if it has one, as dockerd's; socket.gaierror (an OSError) when there is none."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda each: each[0] != socket.AF_INET)[4][0])


def _apply(plan: MountPlan, path: str) -> None:
    """A bind takes its other flags in a second call only, and the propagation of any mount wants one of its own."""
    kinds = mount.MS_BIND | mount.MS_REC
    flags, propagation = plan.flags & ~PROPAGATION, plan.flags & PROPAGATION
    if plan.is_bind:
        mount.mount(plan.source, path, "", flags & kinds)
    else:
        mount.mount(plan.source, path, plan.fstype, flags & ~mount.MS_REC, plan.data)
    try:
        if plan.is_bind and flags & ~kinds:
            mount.mount("", path, "", flags & ~mount.MS_REC | mount.MS_REMOUNT)
        if propagation:
            mount.mount("", path, "", propagation | plan.flags & mount.MS_REC)
    except OSError:
        mount.unmount(path)
        raise


def _is_name(name: str) -> bool:
    try:
        check_name(name)
    except HoldfastError:
        return False
    return True
