# SPDX-License-Identifier: Apache-2.0
"""One network namespace made ahead, so that the next `connect` need not wait for the kernel to make it (1 ms).

It has no name, only descriptors: whatever ends the daemon, the kernel takes it, and there is nothing to clean up. Owned
by `networks.controller`, filled by `engine.networking` while nothing is to do.
"""

from __future__ import annotations

from holdfast.kernel import netns
from holdfast.networks import sandbox


class Spare:
    """Holds one namespace or none; to be called from the controller's thread."""

    __slots__ = ("_made",)

    def __init__(self) -> None:
        self._made: netns.Netns | None = None

    def prepare(self) -> None:
        """Makes one unless there is one; raises Internal."""
        if self._made is None:
            self._made = sandbox.make_namespace()

    def take(self) -> netns.Netns | None:
        """Hands it over for good."""
        taken, self._made = self._made, None
        return taken

    def close(self) -> None:
        taken = self.take()
        if taken is not None:
            taken.close()
