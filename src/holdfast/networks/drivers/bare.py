# SPDX-License-Identifier: Apache-2.0
"""Drivers `host` and `null`: networks that consist of nothing we make. The reference driver; costs nothing.

`host`: the container shares the host's own namespace. `null` (the network `none`): a namespace with only loopback.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast.kernel.netns import Netns
from holdfast.networks.driver import Repaired
from holdfast.networks.network import Network
from holdfast.networks.undertaker import nothing
from holdfast.networks.values import Endpoint


class Bare:
    """A network without interfaces, under either name."""

    __slots__ = ("_has_namespace", "_name")

    def __init__(self, name: str, *, has_namespace: bool) -> None:
        self._name = name
        self._has_namespace = has_namespace

    @property
    def name(self) -> str:
        return self._name

    @property
    def has_namespace(self) -> bool:
        return self._has_namespace

    def check(self, network: Network) -> None:
        """There is nothing to choose."""

    def prepare(self, network: Network) -> None:
        """Nothing to make."""

    def discard(self, network: Network, then: Callable[[], None] = nothing) -> None:
        """Nothing was made."""
        then()

    def join(self, network: Network, endpoint: Endpoint, target: Netns) -> None:
        """The host's interfaces, or loopback, are there."""

    def leave(self, network: Network, endpoint: Endpoint, netns_path: str, *, lives_on: bool) -> None:
        """Nothing to cut."""

    def repair(self, network: Network, endpoints: Sequence[Endpoint]) -> Repaired:
        return Repaired([], [])
