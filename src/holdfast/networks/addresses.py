# SPDX-License-Identifier: Apache-2.0
"""Which addresses of which network are given away: the pools of every network of one daemon, in memory.

`creation.fill_pool` says what no endpoint may have, the journal what the living ones have. Called by the controller.
"""

from __future__ import annotations

from holdfast import errors
from holdfast.networks import creation, ipam
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint


class Addresses:
    """Not for two threads at once."""

    __slots__ = ("_pools",)

    def __init__(self) -> None:
        self._pools: dict[str, list[ipam.AddressPool]] = {}

    def open(self, network: Network) -> None:
        """Makes a network's addresses known; InvalidArgument when its own needs contradict each other."""
        self._pools[network.network_id] = [creation.fill_pool(pool) for pool in network.pools]

    def close(self, network_id: str) -> None:
        self._pools.pop(network_id, None)

    def allocate(self, network: Network, address: str, *, ipv6: bool) -> tuple[str, int]:
        """An address and its prefix length, empty where the network has none of this family, whatever is asked for.

        `address`: this very one. Forbidden: taken; InvalidArgument: outside; Exhausted: none left.
        """
        pools = [pool for pool in self._pools.get(network.network_id, ()) if pool.is_ipv6 is ipv6]
        if address and pools:
            for pool in pools:
                if pool.contains(address):
                    return pool.allocate(address), pool.prefix_length
            raise errors.InvalidArgument(f"no configured subnet or ip-range contain the IP address {address}")
        full: errors.Exhausted | None = None
        for pool in pools:
            try:
                return pool.allocate(), pool.prefix_length
            except errors.Exhausted as error:
                full = error
        if full is not None:
            raise full
        return "", 0

    def release(self, network_id: str, *addresses: str) -> None:
        """Takes addresses back; empty ones and those that are free are fine."""
        for address in addresses:
            for pool in self._pools.get(network_id, ()) if address else ():
                if pool.contains(address):
                    pool.release(address)

    def adopt(self, endpoint: Endpoint) -> None:
        """Takes what an endpoint has had since before the daemon's restart."""
        for address in (endpoint.ip_address, endpoint.ipv6_address):
            for pool in self._pools.get(endpoint.network_id, ()) if address else ():
                if pool.contains(address) and not pool.is_used(address):
                    pool.allocate(address)
