# SPDX-License-Identifier: Apache-2.0
"""The v2 tree: makes cgroups with their controllers switched on, and says how a container sees its own.

Called through `runtime.cgroups.detect()`. Cost of `create` for a new leaf below a prepared parent: one mkdir and three
system calls per control file (five more for the device program).
"""

from __future__ import annotations

import errno
import os

from holdfast.errors import Exhausted, Forbidden, HoldfastError, InvalidArgument, Unsupported
from holdfast.kernel import cgroupfs
from holdfast.oci.mount import Mount
from holdfast.runtime.cgroups import layout
from holdfast.runtime.cgroups.v2.cgroup import Cgroup

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.values import Resources

ROOT = "/sys/fs/cgroup"


class Hierarchy:
    """The v2 tree mounted at `root`."""

    __slots__ = ("mode", "root")

    def __init__(self, root: str) -> None:
        self.root = root
        self.mode = layout.V2

    def controllers(self) -> frozenset[str]:
        """Names of the controllers that this tree has; devices and freezer are always there in v2."""
        return frozenset((*cgroupfs.read(f"{self.root}/cgroup.controllers").split(), "devices", "freezer"))

    def open(self, path: str) -> Cgroup:
        """The cgroup of that path, whether it exists or not. No system call."""
        if not path.startswith("/") or ".." in path.split("/"):
            raise InvalidArgument(f"invalid cgroup path {path!r}: it must be absolute and without ..")
        path = "/" + path.strip("/")
        return Cgroup(path, self.root + path)

    def create(self, path: str, resources: Resources) -> Cgroup:
        """Makes the cgroup (parents too) and sets its limits; on failure nothing that it made is left.

        An existing one is taken over: its limits become what `resources` says.
        """
        cgroup = self.open(path)
        is_new = False
        try:
            is_new = self._make(cgroup.path)
            self._set(cgroup, resources)
        except BaseException as failure:
            if is_new:
                _undo(cgroup.directory)
            if isinstance(failure, OSError):
                raise _explain(cgroup.path, failure) from failure
            raise
        return cgroup

    def container_mounts(self, cgroup: Cgroup) -> list[Mount]:
        """What to mount over the container's /sys/fs/cgroup: its own cgroup, which its namespace shows as the root."""
        return [Mount("bind", cgroup.directory, ROOT, ("bind", "ro", "nosuid", "nodev", "noexec"))]

    def aliases(self) -> list[tuple[str, str]]:
        """Always empty: v2 has no combined hierarchies."""
        return []

    def _set(self, cgroup: Cgroup, resources: Resources) -> None:
        """Sets limits; a missing file may mean that the parents do not hand the controller down yet."""
        try:
            cgroup.update(resources)
        except Unsupported:
            self._enable(cgroup.path.rpartition("/")[0])
            cgroup.update(resources)

    def _make(self, path: str) -> bool:
        try:
            return cgroupfs.make(self.root + path)
        except FileNotFoundError:
            parent = path.rpartition("/")[0]
            if not parent:
                raise
            self._make(parent)
            self._enable(parent)
            return cgroupfs.make(self.root + path)

    def _enable(self, parent: str) -> None:
        """Hands the controllers down from the root to `parent`'s children; one that cannot be handed down is left out."""
        directory = self.root
        for name in ("", *parent.strip("/").split("/")):
            directory = f"{directory}/{name}" if name else directory
            for controller in cgroupfs.read(f"{directory}/cgroup.controllers").split():
                try:
                    cgroupfs.write(f"{directory}/cgroup.subtree_control", [f"+{controller}"])
                except OSError as problem:
                    if problem.errno not in (errno.EBUSY, errno.EINVAL, errno.ENOENT, errno.EOPNOTSUPP, errno.EACCES):
                        raise


def _undo(directory: str) -> None:
    try:
        os.rmdir(directory)
    except OSError:
        return  # the failure that led here is the one to report


def _explain(path: str, failure: OSError) -> HoldfastError:
    why = os.strerror(failure.errno or 0).lower()
    if isinstance(failure, PermissionError):
        return Forbidden(f"cannot create cgroup {path}: {why}")
    return Exhausted(f"cannot create cgroup {path}: {why}")
