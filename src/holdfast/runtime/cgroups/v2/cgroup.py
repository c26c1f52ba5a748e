# SPDX-License-Identifier: Apache-2.0
"""One container's cgroup in the v2 tree: a single directory.

Made by `v2.hierarchy`; used by runtime (join), shim (kill, freeze, update, statistics) and `hold-runc`.
"""

from __future__ import annotations

import errno
import os
import signal
import time

from holdfast.errors import Unavailable
from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import apply, pids, values
from holdfast.runtime.cgroups.v2 import cpu, devices, freezer, io, memory, plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.v2 import oom
    from holdfast.runtime.cgroups.values import Read, Resources

_KILL_PATIENCE_SECONDS = 2.0
_KILL_PAUSE_SECONDS = 0.001
_REMOVE_PATIENCE_SECONDS = 2.0


class Cgroup:
    """A cgroup by path (`/docker/ID`) and its directory."""

    __slots__ = ("directory", "path")

    def __init__(self, path: str, directory: str) -> None:
        self.path = path
        self.directory = directory

    def paths(self) -> list[str]:
        """Its one directory."""
        return [self.directory]

    def into_fd(self) -> int | None:
        """A descriptor (CLOEXEC, the caller closes it) for clone3's CLONE_INTO_CGROUP: the child is born inside."""
        return os.open(self.directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def join_fds(self) -> list[int]:
        """Open descriptors (CLOEXEC, the caller closes them): a process joins by writing `0` to each."""
        return [os.open(f"{self.directory}/cgroup.procs", os.O_WRONLY | os.O_CLOEXEC)]

    def join(self, pid: int) -> None:
        """Moves a whole process in; raises OSError (ESRCH: it has gone)."""
        cgroupfs.write(f"{self.directory}/cgroup.procs", [str(pid)])

    def exists(self) -> bool:
        """Whether the directory is still there."""
        return os.path.isdir(self.directory)

    def pids(self) -> list[int]:
        """Processes inside, those of cgroups below included."""
        return cgroupfs.pids(self.directory)

    def kill(self) -> None:
        """Kills everything below at once (cgroup.kill, Linux 5.14); returns when no process is left.

        Unavailable when something is still there after two seconds (a process in uninterruptible sleep).
        """
        deadline = time.monotonic() + _KILL_PATIENCE_SECONDS
        while self._is_populated():
            self._kill_now()
            if time.monotonic() > deadline:
                raise Unavailable(f"cannot kill every process of cgroup {self.path}")
            time.sleep(_KILL_PAUSE_SECONDS)

    def freeze(self) -> None:
        """Pauses everything inside; returns when it stands still."""
        freezer.freeze(self.directory)

    def thaw(self) -> None:
        """Resumes what `freeze` paused."""
        freezer.thaw(self.directory)

    def is_frozen(self) -> bool:
        """Whether it was paused."""
        return freezer.is_frozen(self.directory)

    def update(self, resources: Resources) -> None:
        """Sets limits; what `resources` does not name stays."""
        program = devices.plan(resources)
        has_bfq = bool(values.section(resources, "blockIO")) and os.path.exists(f"{self.directory}/{io.BFQ_WEIGHT}")
        apply.apply(self.directory, plan.plan(resources, has_bfq=has_bfq), optional=plan.OPTIONAL)
        if program is not None:
            devices.install(self.directory, program)

    def stats(self, read: Read = cgroupfs.read_optional, *, is_brief: bool = False) -> dict[str, object]:
        """What the container used, in the shape of `runc events --stats` (`data`); the brief form has no swap."""
        return {
            "cpu": cpu.stats(self.directory, read),
            "memory": memory.stats(self.directory, read, is_brief=is_brief),
            "pids": pids.stats(self.directory, read),
            "blkio": io.stats(self.directory, read),
        }

    def oom_kills(self) -> int:
        """How many processes inside the kernel killed for want of memory; 0 without the controller."""
        return memory.oom_kills(self.directory)

    def oom_watch(self) -> oom.Watch | None:
        """Something to listen to for such kills; None without the controller. OSError when the kernel refuses."""
        from holdfast.runtime.cgroups.v2 import oom  # few containers need it

        return oom.Watch(self.directory) if os.path.exists(f"{self.directory}/memory.events") else None

    def remove(self) -> None:
        """Removes the directory with all below; idempotent. Raises Unavailable when a process keeps it busy."""
        try:
            cgroupfs.remove(self.directory, patience_seconds=_REMOVE_PATIENCE_SECONDS)
        except OSError as problem:
            raise Unavailable(
                f"cannot remove cgroup {self.path}: {os.strerror(problem.errno or 0).lower()}"
            ) from problem

    def _is_populated(self) -> bool:
        events = cgroupfs.read_optional(f"{self.directory}/cgroup.events")
        return values.flat_keyed(events).get("populated", 0) == 1

    def _kill_now(self) -> None:
        try:
            cgroupfs.write(f"{self.directory}/cgroup.kill", ["1"])
        except OSError as problem:
            if problem.errno == errno.ENODEV:
                return
            if problem.errno != errno.ENOENT:
                raise
            for pid in self.pids():
                _kill(pid)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
