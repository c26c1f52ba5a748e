# SPDX-License-Identifier: Apache-2.0
"""The shims that wait for a launch: forked ahead, rehearsed, each with its first `Maker`.

A fork with its page faults takes 3 ms, which no start waits for. Each spare has 1.5 MB of copied pages with its maker.
Called by `spawner`, whose only children they are.
"""

from __future__ import annotations

import os
import socket
import sys

from holdfast.shim import main as shim
from holdfast.shim import rehearsal
from holdfast.shim.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.runtime.cgroups import Hierarchy

WANTED = 2


class Spares:
    """The waiting shims, by the channels on which they wait; each ends when its channel is closed without a word."""

    __slots__ = ("_daemon", "_hierarchy", "_sample", "_waiting")

    def __init__(self, daemon: Channel, hierarchy: Hierarchy) -> None:
        self._daemon = daemon
        self._hierarchy = hierarchy
        self._sample = rehearsal.sample()
        rehearsal.warm_up(self._sample, hierarchy)
        self._waiting: list[Channel] = []

    @property
    def is_short(self) -> bool:
        """Whether there should be more."""
        return len(self._waiting) < WANTED

    def add(self) -> bool:
        """Forks one; False when there can be none."""
        return self._add(self._sample)

    def hand_over(self, data: bytes, fds: Sequence[int]) -> None:
        """Makes one the shim of a launch; when there is none, or only dead ones, one is born for it."""
        while True:
            if not self._waiting and not self._add(b""):
                break  # whoever asked finds its socket closed
            spare = self._waiting.pop(0)
            try:
                spare.pass_on(data, fds)
            except OSError:
                continue
            finally:
                spare.close()
            break
        for fd in fds:
            os.close(fd)

    def _add(self, sample: bytes) -> bool:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            is_child = os.fork() == 0
        except OSError:
            ours.close()
            theirs.close()
            return False
        if is_child:
            self._live(ours, theirs, sample)
        theirs.close()
        self._waiting.append(Channel(ours))
        return True

    def _live(self, ours: socket.socket, theirs: socket.socket, sample: bytes) -> None:
        """The child, which never returns."""
        status = 1
        try:
            self._daemon.close()
            ours.close()
            for other in self._waiting:
                other.close()
            os.dup2(0, 2)  # whoever reads the daemon's stderr must not wait for every container
            shim.live(Channel(theirs), self._hierarchy, sample)
            status = 0
        except BaseException as error:  # noqa: BLE001  (the last frame of a fork: what is above belongs to the parent)
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(status)
