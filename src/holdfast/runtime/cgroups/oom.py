# SPDX-License-Identifier: Apache-2.0
"""Hearing of processes killed for want of memory while the container runs on; only for containers with a limit.

`Watch.fd` becomes readable; `happened()` says whether it was that. Imported when the first such container starts.
Source: Documentation/admin-guide/cgroup-v1/memory.rst §9-10 (eventfd), cgroup-v2.rst memory.events, inotify(7).
"""

from __future__ import annotations

import os

from holdfast.kernel import cgroupfs, inotify
from holdfast.runtime.cgroups.v2 import memory


class V1Watch:
    """An eventfd that the kernel writes to when the group runs out of memory."""

    __slots__ = ("fd",)

    def __init__(self, directory: str) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = os.open(f"{directory}/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            try:
                cgroupfs.write(f"{directory}/cgroup.event_control", [f"{self.fd} {control}"])
            finally:
                os.close(control)
        except OSError:
            self.close()
            raise

    def happened(self) -> bool:
        """Whether it did since the last call."""
        try:
            return os.eventfd_read(self.fd) > 0
        except BlockingIOError:
            return False

    def close(self) -> None:
        """Stops listening."""
        os.close(self.fd)


class V2Watch:
    """The file memory.events, whose counter of kills rises."""

    __slots__ = ("_count", "_directory", "_inotify")

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._inotify = inotify.Watch(f"{directory}/memory.events", inotify.MODIFY)
        self._count = 0

    @property
    def fd(self) -> int:
        return self._inotify.fd

    def happened(self) -> bool:
        """Whether it did since the last call."""
        self._inotify.read_nowait()
        before, self._count = self._count, memory.oom_kills(self._directory)
        return self._count > before

    def close(self) -> None:
        """Stops listening."""
        self._inotify.close()


Watch = V1Watch | V2Watch
