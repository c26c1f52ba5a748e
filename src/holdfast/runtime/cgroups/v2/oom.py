# SPDX-License-Identifier: Apache-2.0
"""cgroup v2: hearing of processes killed for want of memory while the container runs on.

Imported when the first container with a limit starts. `v1.oom` has the same face.
Source: Documentation/admin-guide/cgroup-v2.rst memory.events, inotify(7).
"""

from __future__ import annotations

from holdfast.kernel import inotify
from holdfast.runtime.cgroups.v2 import memory


class Watch:
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
