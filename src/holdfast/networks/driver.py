# SPDX-License-Identifier: Apache-2.0
"""What a network driver is: how a network exists on this host, and how an endpoint joins it.

Drivers know neither each other, nor the controller, nor the journal: every name they need is in the values they are
given. All methods may be repeated, also after being killed half-way. Default routes are the sandbox's, not theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from holdfast.kernel.netns import Netns
from holdfast.networks.network import Network
from holdfast.networks.undertaker import nothing
from holdfast.networks.values import Endpoint


class Repaired(NamedTuple):
    """What was put right (the names of devices), and which endpoints have none any more: they must join again."""

    devices: list[str]
    lost: list[Endpoint]


class Driver(Protocol):
    """Example: `driver.check(network)`; `driver.prepare(network)`; `driver.join(network, endpoint, netns)`."""

    @property
    def name(self) -> str: ...

    @property
    def has_namespace(self) -> bool:
        """Whether its containers have a namespace of their own."""
        ...

    def check(self, network: Network) -> None:
        """Judges a new network's options, before it exists; InvalidArgument, Forbidden, Conflict in Docker's words."""
        ...

    def prepare(self, network: Network) -> None:
        """Makes the host ready for endpoints, or finds it so; raises Conflict when the host has something else."""
        ...

    def discard(self, network: Network, then: Callable[[], None] = nothing) -> None:
        """Removes what `prepare` made; nothing there is fine. `then` hears, from any thread, when nothing is left."""
        ...

    def join(self, network: Network, endpoint: Endpoint, target: Netns) -> None:
        """Gives the namespace its interface with addresses; raises Internal with nothing left behind."""
        ...

    def leave(self, network: Network, endpoint: Endpoint, netns_path: str, *, lives_on: bool) -> None:
        """Cuts the endpoint off at once; nothing there is fine.

        `lives_on`: the namespace stays, so the interface must go; otherwise it may go with the namespace.
        """
        ...

    def repair(self, network: Network, endpoints: Sequence[Endpoint]) -> Repaired:
        """Compares the host's devices with the network's endpoints: deletes strays, reconnects what was taken off."""
        ...
