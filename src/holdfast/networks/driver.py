# SPDX-License-Identifier: Apache-2.0
"""What a network driver is: how a network exists on this host, and how an endpoint joins it.

Drivers know neither each other, nor the controller, nor the journal: every name they need is in the values they are
given. All methods may be repeated, also after being killed half-way.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from holdfast.kernel.netns import Netns
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint


class Driver(Protocol):
    """Example: `driver.prepare(network)`; `driver.join(network, endpoint, netns, is_default_route=True)`."""

    @property
    def name(self) -> str: ...

    @property
    def has_namespace(self) -> bool:
        """Whether its containers have a namespace of their own."""
        ...

    def prepare(self, network: Network) -> None:
        """Makes the host ready for endpoints, or finds it so; raises Conflict when the host has something else."""
        ...

    def discard(self, network: Network) -> None:
        """Removes what `prepare` made; nothing there is fine."""
        ...

    def join(self, network: Network, endpoint: Endpoint, target: Netns, *, is_default_route: bool) -> None:
        """Gives the namespace its interface with address and routes; raises Internal with nothing left behind."""
        ...

    def leave(self, network: Network, endpoint: Endpoint) -> None:
        """Cuts the endpoint off at once; its devices go with the namespace. Nothing there is fine."""
        ...

    def remove_strays(self, network: Network, known: Collection[str]) -> list[str]:
        """Deletes our devices on this network whose name is not known; returns their names."""
        ...
