# SPDX-License-Identifier: Apache-2.0
"""cgroup v1: hearing of processes killed for want of memory while the container runs on.

Imported when the first container with a limit starts. `v2.oom` has the same face.
Source: Documentation/admin-guide/cgroup-v1/memory.rst §9-10.
"""

from __future__ import annotations

import os

from holdfast.kernel import cgroupfs


class Watch:
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
