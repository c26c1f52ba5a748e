# SPDX-License-Identifier: Apache-2.0
"""Tells a new daemon when the launches of the one before it are over: each is born, with a socket to be found by, or dead.

Every shim on its way holds a share of one locked file, from the fork of the spawner that got it to the moment its socket
is there; so does the helper that starts its container. Nobody writes a pid down, nobody forgets to unlock: the lock goes
with the last descriptor. Without it a daemon that was killed amid a launch could leave a container that its successor,
who looked too early, knows nothing of. Used by `client` only. Source: flock(2), "associated with an open file description".
"""

from __future__ import annotations

import asyncio
import fcntl
import os

NAME = "births"
_LOOK_SECONDS = 0.005


class Births:
    """The lock's file below a directory, open."""

    def __init__(self, directory: str) -> None:
        self._fd = os.open(os.path.join(directory, NAME), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def fileno(self) -> int:
        """What the spawner gets a copy of."""
        return self._fd

    async def settle(self, seconds: float) -> bool:
        """Waits until no other daemon's launch is under way, and takes the lock; False when one takes too long."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if loop.time() > deadline:
                    return False
                await asyncio.sleep(_LOOK_SECONDS)
            else:
                return True

    def close(self) -> None:
        """Lets go of our share; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
