# SPDX-License-Identifier: Apache-2.0
"""A user namespace that nobody lives in: a pair of id maps as a descriptor, for mounts that show other owners.

A child is born into it, waits until its maps are written and it is opened, and ends. Called by the runtime in a
single-threaded process, before a container exists. Source: user_namespaces(7), mount_setattr(2) §ID-mapped mounts.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

from holdfast.kernel import namespaces, process


def open_mapped(uids: Sequence[tuple[int, int, int]], gids: Sequence[tuple[int, int, int]]) -> int:
    """The descriptor of a new user namespace with these maps, each (first inside, first outside, count)."""
    pid, pidfd = process.clone3(namespaces.NEWUSER)
    if pid == 0:
        process.set_parent_death_signal(signal.SIGKILL)
        while True:
            signal.pause()
    try:
        namespaces.write_id_maps(pid, uids, gids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
