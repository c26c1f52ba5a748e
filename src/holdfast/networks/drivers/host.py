# SPDX-License-Identifier: Apache-2.0
"""Driver `host`: the container shares the host's own network namespace; there is nothing to make or to take away."""

from __future__ import annotations

from collections.abc import Collection

from holdfast.kernel.netns import Netns
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint


class Host:
    __slots__ = ()

    name = "host"
    has_namespace = False

    def prepare(self, network: Network) -> None:
        """Nothing to make."""

    def discard(self, network: Network) -> None:
        """Nothing was made."""

    def join(self, network: Network, endpoint: Endpoint, target: Netns, *, is_default_route: bool) -> None:
        """The host's interfaces are the container's."""

    def leave(self, network: Network, endpoint: Endpoint) -> None:
        """Nothing to cut."""

    def remove_strays(self, network: Network, known: Collection[str]) -> list[str]:
        return []
