# SPDX-License-Identifier: Apache-2.0
"""One container's cgroup in the v1 hierarchies: one directory per mounted controller, all with the same path.

Made by `v1.hierarchy`; used by runtime (join), shim (kill, freeze, update, statistics) and `hold-runc`.
"""

from __future__ import annotations

import os
import signal
import time

from holdfast.errors import Unavailable, Unsupported
from holdfast.kernel import cgroupfs
from holdfast.runtime.cgroups import apply, pids
from holdfast.runtime.cgroups.v1 import blkio, cpu, cpuacct, cpuset, freezer, memory, plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.runtime.cgroups.v1 import oom
    from holdfast.runtime.cgroups.values import Read, Resources, Writes

_KILL_ROUNDS = 100
_KILL_PAUSE_SECONDS = 0.002
_REMOVE_PATIENCE_SECONDS = 2.0


class Cgroup:
    """A cgroup by path (`/docker/ID`); `directories` maps each controller to its directory."""

    __slots__ = ("directories", "path")

    def __init__(self, path: str, directories: dict[str, str]) -> None:
        self.path = path
        self.directories = directories

    def into_fd(self) -> int | None:
        """Always None: CLONE_INTO_CGROUP is for v2 only (clone(2))."""
        return None

    def join_fds(self) -> list[int]:
        """Open descriptors (CLOEXEC, the caller closes them): a single-threaded process joins by writing `0` to each.

        They are `tasks` files: moving one's own thread needs no grace period in the kernel, moving a pid by
        `cgroup.procs` does and takes milliseconds (kernel/cgroup/cgroup.c, cgroup_procs_write_start).
        """
        fds: list[int] = []
        try:
            fds.extend(os.open(f"{each}/tasks", os.O_WRONLY | os.O_CLOEXEC) for each in self.paths())
        except OSError:
            for fd in fds:
                os.close(fd)
            raise
        return fds

    def join(self, pid: int) -> None:
        """Moves a whole process in; raises OSError (ESRCH: it has gone)."""
        for each in self.paths():
            cgroupfs.write(f"{each}/cgroup.procs", [str(pid)])

    def exists(self) -> bool:
        """Whether any of the directories is still there."""
        return any(os.path.isdir(each) for each in self.paths())

    def pids(self) -> list[int]:
        """Processes inside, those of cgroups below included."""
        return cgroupfs.pids(self._process_directory())

    def kill(self) -> None:
        """Kills everything inside; returns when no process is left, Unavailable after about a second.

        Freezing first stops a fork bomb from outrunning the loop; a frozen process dies when it is thawed.
        """
        directory = self.directories.get("freezer")
        for round_ in range(_KILL_ROUNDS):
            if directory is not None and round_ % 10 == 0:
                _freeze_if_possible(directory)
            alive = self.pids()
            for pid in alive:
                _kill(pid)
            if directory is not None and freezer.is_frozen(directory):
                freezer.thaw(directory)
            if not alive:
                return
            time.sleep(_KILL_PAUSE_SECONDS)
        raise Unavailable(f"cannot kill every process of cgroup {self.path}")

    def freeze(self) -> None:
        """Pauses everything inside; returns when it stands still."""
        freezer.freeze(self._directory("freezer"))

    def thaw(self) -> None:
        """Resumes what `freeze` paused."""
        freezer.thaw(self._directory("freezer"))

    def is_frozen(self) -> bool:
        """Whether it was paused."""
        directory = self.directories.get("freezer")
        return directory is not None and freezer.is_frozen(directory)

    def update(self, resources: Resources) -> None:
        """Changes limits of a living cgroup; what `resources` does not name stays."""
        planned = plan.plan(resources)
        if "memory" in planned:
            planned["memory"] = memory.plan(resources, memory.current_memsw(self._directory("memory")))
        self.apply(planned, resources)

    def apply(self, planned: dict[str, Writes], resources: Resources) -> None:
        """Carries out a plan in this cgroup's directories; Unsupported names a controller that is not mounted."""
        for controller, writes in planned.items():
            directory = self._directory(controller)
            if controller == "blkio":
                writes = blkio.plan(resources, weight_file=blkio.weight_file(directory))
            apply.apply(directory, writes, optional=plan.OPTIONAL)

    def fill_cpuset(self) -> None:
        """Makes the cpuset joinable when the parent did not hand its processors down."""
        directory = self.directories.get("cpuset")
        if directory is not None:
            cpuset.fill(directory)

    def stats(self, read: Read = cgroupfs.read_optional, *, is_brief: bool = False) -> dict[str, object]:
        """What the container used, in the shape of `runc events --stats` (`data`); the brief form has no swap."""
        where = self.directories
        found: dict[str, object] = {}
        processor: dict[str, object] = {}
        if "cpuacct" in where:
            processor.update(cpuacct.stats(where["cpuacct"], read))
        if "cpu" in where:
            processor.update(cpu.stats(where["cpu"], read))
        found["cpu"] = processor
        if "memory" in where:
            found["memory"] = memory.stats(where["memory"], read, is_brief=is_brief)
        if "pids" in where:
            found["pids"] = pids.stats(where["pids"], read)
        if "blkio" in where:
            found["blkio"] = blkio.stats(where["blkio"], read)
        return found

    def oom_kills(self) -> int:
        """How many processes inside the kernel killed for want of memory; 0 without the controller."""
        directory = self.directories.get("memory")
        return 0 if directory is None else memory.oom_kills(directory)

    def oom_watch(self) -> oom.Watch | None:
        """Something to listen to for such kills; None without the controller. OSError when the kernel refuses."""
        from holdfast.runtime.cgroups.v1 import oom  # few containers need it

        directory = self.directories.get("memory")
        return None if directory is None else oom.Watch(directory)

    def remove(self) -> None:
        """Removes every directory, with all below; idempotent. Raises Unavailable when a process keeps one busy."""
        failures: list[str] = []
        for each in self.paths():
            try:
                cgroupfs.remove(each, patience_seconds=0.0 if failures else _REMOVE_PATIENCE_SECONDS)
            except OSError as problem:
                failures.append(f"{each}: {os.strerror(problem.errno or 0).lower()}")
        if failures:
            raise Unavailable(f"cannot remove cgroup {self.path}: {'; '.join(failures)}")

    def paths(self) -> list[str]:
        """Its directories, one for each hierarchy."""
        return list(dict.fromkeys(self.directories.values()))

    def _process_directory(self) -> str:
        for controller in ("pids", "devices", "freezer", "memory"):
            if controller in self.directories:
                return self.directories[controller]
        return next(iter(self.directories.values()))

    def _directory(self, controller: str) -> str:
        try:
            return self.directories[controller]
        except KeyError:
            raise Unsupported(f"cgroup controller {controller} is not mounted on this machine") from None


def _freeze_if_possible(directory: str) -> None:
    try:
        freezer.freeze(directory)
    except (OSError, Unavailable):
        return  # killing goes on without: the loop still ends unless processes appear faster than it kills


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
