# SPDX-License-Identifier: Apache-2.0
"""The mounted v1 hierarchies: makes a cgroup of one path in all of them, and says how a container sees its own.

Called through `runtime.cgroups.detect()`. Cost of `create` for a new leaf: one mkdir per hierarchy, two reads for the
cpuset, three system calls per control file. Hierarchies that are not controllers (name=systemd) get the path too, as
dockerd does, so that tools find a process's container in any line of /proc/PID/cgroup.
"""

from __future__ import annotations

import os

from holdfast.errors import Exhausted, Forbidden, HoldfastError, InvalidArgument
from holdfast.kernel import cgroupfs
from holdfast.oci.mount import Mount
from holdfast.runtime.cgroups.v1 import cpuset, plan
from holdfast.runtime.cgroups.v1.cgroup import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups import layout
    from holdfast.runtime.cgroups.values import Resources

ROOT = "/sys/fs/cgroup"


class Hierarchy:
    """All v1 hierarchies of this machine."""

    __slots__ = ("mode", "mounts")

    def __init__(self, mounts: tuple[layout.Mount, ...], mode: str) -> None:
        self.mounts = mounts
        self.mode = mode

    def controllers(self) -> frozenset[str]:
        """Names of the mounted controllers (without `name=` hierarchies)."""
        return frozenset(word for mount in self.mounts for word in mount.controllers if not word.startswith("name="))

    def open(self, path: str) -> Cgroup:
        """The cgroup of that path, whether it exists or not. No system call."""
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidArgument(f"invalid cgroup path {path!r}: it must be absolute and without ..")
        path = "/" + path.strip("/")
        return Cgroup(path, {word: mount.directory + path for mount in self.mounts for word in mount.controllers})

    def create(self, path: str, resources: Resources) -> Cgroup:
        """Makes the cgroup (parents too) and sets its limits; on failure nothing that it made is left.

        An existing one is taken over: its limits become what `resources` says.
        """
        planned = plan.plan(resources)
        cgroup = self.open(path)
        made: list[str] = []
        try:
            made.extend(each.directory + cgroup.path for each in self.mounts if _make(each, cgroup.path))
            cgroup.fill_cpuset()
            cgroup.apply(planned, resources)
        except BaseException as failure:
            _undo(made)
            if isinstance(failure, OSError):
                raise _explain(cgroup.path, failure) from failure
            raise
        return cgroup

    def container_mounts(self, cgroup: Cgroup) -> list[Mount]:
        """What to mount over the container's /sys/fs/cgroup: a tmpfs and its own cgroup of each hierarchy, read-only."""
        hidden = ("nosuid", "nodev", "noexec")
        planned = [Mount("tmpfs", "tmpfs", ROOT, (*hidden, "mode=755"))]
        for mount in self.mounts:
            source = mount.directory + cgroup.path
            target = f"{ROOT}/{mount.directory.rpartition('/')[2]}"
            planned.append(Mount("bind", source, target, ("bind", "ro", *hidden)))
        return planned

    def aliases(self) -> list[tuple[str, str]]:
        """Symlinks that belong beside combined hierarchies in /sys/fs/cgroup: (`cpu`, `cpu,cpuacct`), ..."""
        found: list[tuple[str, str]] = []
        for mount in self.mounts:
            name = mount.directory.rpartition("/")[2]
            found.extend((word, name) for word in mount.controllers if len(mount.controllers) > 1 and word != name)
        return found


def _make(mount: layout.Mount, path: str) -> bool:
    try:
        return cgroupfs.make(mount.directory + path)
    except FileNotFoundError:
        parent = path.rpartition("/")[0]
        if not parent:
            raise
        _make_parent(mount, parent)
        return cgroupfs.make(mount.directory + path)


def _make_parent(mount: layout.Mount, path: str) -> None:
    if _make(mount, path) and "cpuset" in mount.controllers:
        cpuset.fill(mount.directory + path)
        cpuset.let_children_inherit(mount.directory + path)


def _undo(made: list[str]) -> None:
    for directory in made:
        try:
            os.rmdir(directory)
        except OSError:
            continue  # the failure that led here is the one to report


def _explain(path: str, failure: OSError) -> HoldfastError:
    why = os.strerror(failure.errno or 0).lower()
    if isinstance(failure, PermissionError):
        return Forbidden(f"cannot create cgroup {path}: {why}")
    return Exhausted(f"cannot create cgroup {path}: {why}")
