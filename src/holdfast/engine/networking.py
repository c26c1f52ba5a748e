# SPDX-License-Identifier: Apache-2.0
"""The one thread in which the network controller lives, and its calls as awaitables.

`Controller.connect` moves its thread through namespaces, so nothing else may run there. Called by the container and
network jobs. Blocking of the loop: none; a call costs the hop of about 0.1 ms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from holdfast import networks
from holdfast.networks import Attachment, ConnectRequest

T = TypeVar("T")


class NetworkWorker:
    """Runs calls of the controller one after the other, in the order in which they were made."""

    def __init__(self, controller: networks.Controller) -> None:
        self.controller = controller
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="networks")

    async def run(self, call: Callable[[], T]) -> T:
        """Any call on the controller; one that has begun ends, whatever becomes of the caller."""
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, call))

    async def connect(self, request: ConnectRequest, joined_pid: int | None = None) -> Attachment:
        """Gives a container its network; leaves nothing when it raises."""
        return await self.run(lambda: self.controller.connect(request, joined_pid))

    async def disconnect(self, container_id: str) -> None:
        """Takes it away; idempotent."""
        await self.run(lambda: self.controller.disconnect(container_id))

    async def reconcile(self, live: Collection[str]) -> list[str]:
        """Removes what belongs to nobody."""
        return await self.run(lambda: self.controller.reconcile(live))

    async def close(self) -> None:
        """Lets go of the controller's sockets and ends the thread; networks stay."""
        await self.run(self.controller.close)
        self._thread.shutdown(wait=False)
