# SPDX-License-Identifier: Apache-2.0
"""Deletes links of the host behind its caller's back: the kernel waits out a grace period over each, some 20 ms.

Whoever buries a link has cut it off before, so nothing but its name is left; who needs the name waits (`settle`). What a
killed daemon did not get to is a stray that the next one finds. Called by the bridge driver. One thread, one socket.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from holdfast.kernel import netlink, rtnetlink


def nothing() -> None:
    """For those who need not hear that it is done."""


class Undertaker:
    """To be made in the host's namespace; `bury` and `settle` belong to the controller's thread."""

    __slots__ = ("_links", "_pending", "_thread")

    def __init__(self) -> None:
        self._links = netlink.Socket()
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="undertaker")
        self._pending: dict[str, Future[None]] = {}

    def bury(self, name: str, then: Callable[[], None] = nothing) -> None:
        """Deletes a link soon, and calls `then`, in another thread, when there is no such link any more."""
        self._pending = {key: task for key, task in self._pending.items() if not task.done()}
        self._pending[name] = self._thread.submit(self._delete, name, then)

    def settle(self, name: str = "") -> None:
        """Waits for this burial, or for all; one that failed leaves its link where it is."""
        for key in [name] if name else list(self._pending):
            task = self._pending.pop(key, None)
            if task is not None:
                task.exception()

    def close(self) -> None:
        """Ends the work that is under way."""
        self.settle()
        self._thread.shutdown()
        self._links.close()

    def _delete(self, name: str, then: Callable[[], None]) -> None:
        try:
            self._links.execute(rtnetlink.delete_link(name))
        except netlink.NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise
        then()
