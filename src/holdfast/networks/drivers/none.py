# SPDX-License-Identifier: Apache-2.0
"""Driver `null`, the network `none`: a namespace with nothing but loopback. The reference driver; costs nothing."""

from __future__ import annotations

from collections.abc import Collection

from holdfast.kernel.netns import Netns
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint


class Null:
    __slots__ = ()

    name = "null"
    has_namespace = True

    def prepare(self, network: Network) -> None:
        """Nothing to make."""

    def discard(self, network: Network) -> None:
        """Nothing was made."""

    def join(self, network: Network, endpoint: Endpoint, target: Netns, *, is_default_route: bool) -> None:
        """Loopback is the sandbox's."""

    def leave(self, network: Network, endpoint: Endpoint) -> None:
        """Nothing to cut."""

    def remove_strays(self, network: Network, known: Collection[str]) -> list[str]:
        return []
