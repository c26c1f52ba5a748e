# SPDX-License-Identifier: Apache-2.0
"""Drivers `macvlan` and `ipvlan`: every endpoint is a child link of one interface of the host, its `parent`.

macvlan: modes bridge (default), private, vepa, passthru; every endpoint has a MAC of its own. ipvlan: modes l2
(default), l3 and l3s, where the parent's host routes and the default route names the interface alone; flags bridge
(default), private, vepa. No bridge, no NAT, no published ports: what leaves the parent is filtered by nobody here, such
a container stands in the host's own network. Without a parent the network ends at a dummy interface.
The child is born in the container, so `host_interface` stays unused; under a name of its own, because kernels before 6.13
look for a link of the new one's name in the host's namespace, where an `eth0` is common. Cost of `join`: five exchanges
with the kernel.
Source: libnetwork `drivers/macvlan`, `drivers/ipvlan` (moby 28).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from holdfast import errors
from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.networks import driver_options, interface, parent_links
from holdfast.networks.driver import Repaired
from holdfast.networks.network import IPVLAN_MODE, MTU, PARENT, Network
from holdfast.networks.undertaker import nothing
from holdfast.networks.values import Endpoint

_MACVLAN_MODE, _IPVLAN_FLAG = "macvlan_mode", "ipvlan_flag"
_DUMMY_PREFIXES = {"macvlan": "dm-", "ipvlan": "di-"}
_SMALLEST_MTU = 68
_BIRTH_ID = 12


class Child:
    """All networks of one of the two kinds; `links` works in the host's namespace."""

    __slots__ = ("_links", "_name", "_networks", "_parents")

    has_namespace = True

    def __init__(self, name: str, links: netlink.Socket) -> None:
        self._name = name
        self._links = links
        self._networks: dict[str, Network] = {}
        self._parents: dict[str, int] = {}

    @property
    def name(self) -> str:
        return self._name

    def check(self, network: Network) -> None:
        driver_options.check_mtu(network.options, MTU, minimum=_SMALLEST_MTU)
        if self._name == "macvlan":
            _check_macvlan(network, self._sharing(network))
        else:
            _check_ipvlan(network, self._sharing(network))
        parent_links.check(self._links, network)

    def prepare(self, network: Network) -> None:
        self._parents[network.network_id] = parent_links.ensure(self._links, network, _DUMMY_PREFIXES[self._name])
        self._networks[network.network_id] = network

    def discard(self, network: Network, then: Callable[[], None] = nothing) -> None:
        self._networks.pop(network.network_id, None)
        self._parents.pop(network.network_id, None)
        if not self._sharing(network):
            parent_links.discard(self._links, network, _DUMMY_PREFIXES[self._name])
        then()

    def join(self, network: Network, endpoint: Endpoint, target: netns.Netns) -> None:
        at_birth = f"hf{endpoint.endpoint_id[:_BIRTH_ID]}"
        try:
            self._links.execute(self._creation(network, endpoint, target, at_birth))
            interface.rename(target, at_birth, endpoint.container_interface)
            interface.configure(endpoint, target)
        except OSError as error:
            interface.remove(target, at_birth)
            interface.remove(target, endpoint.container_interface)
            raise interface.failure(
                error,
                f"failed to create the {self._name} port {endpoint.container_interface} in network {network.name}: "
                f"{(error.strerror or '').lower()}",
            ) from error

    def leave(self, network: Network, endpoint: Endpoint, netns_path: str, *, lives_on: bool) -> None:
        """At once in any case: a parent takes no second child with the MAC of one that is still dying."""
        try:
            with netns.enter(netns_path) as target:
                interface.remove(target, endpoint.container_interface)
        except FileNotFoundError:
            return
        except OSError as error:
            raise errors.Internal(
                f"failed to remove interface {endpoint.container_interface} from network {network.name}: {error}"
            ) from error

    def repair(self, network: Network, endpoints: Sequence[Endpoint]) -> Repaired:
        """The links are in the containers and go with them."""
        return Repaired([], [])

    def _creation(self, network: Network, endpoint: Endpoint, target: netns.Netns, name: str) -> netlink.Request:
        parent = self._parents[network.network_id]
        if self._name == "macvlan":
            mode = _macvlan_mode(network)
            return rtnetlink.create_macvlan(
                name, parent=parent, mode=mode, netns_fd=target.fd, mtu=network.mtu, mac=endpoint.mac
            )
        mode, flag = _ipvlan_mode(network)
        return rtnetlink.create_ipvlan(name, parent=parent, mode=mode, flag=flag, netns_fd=target.fd, mtu=network.mtu)

    def _sharing(self, network: Network) -> list[Network]:
        parent = network.options.get(PARENT)
        return [
            other
            for other in self._networks.values()
            if parent and other.options.get(PARENT) == parent and other.network_id != network.network_id
        ]


def _macvlan_mode(network: Network) -> str:
    return network.options.get(_MACVLAN_MODE) or "bridge"


def _ipvlan_mode(network: Network) -> tuple[str, str]:
    return network.options.get(IPVLAN_MODE) or "l2", network.options.get(_IPVLAN_FLAG) or "bridge"


def _check_macvlan(network: Network, sharing: Sequence[Network]) -> None:
    mode = _macvlan_mode(network)
    if mode not in rtnetlink.MACVLAN_MODES:
        raise errors.InvalidArgument(
            f"requested macvlan mode '{mode}' is not valid, 'bridge' mode is the macvlan driver default"
        )
    for other in sharing:
        parent = network.options[PARENT]
        if mode == "passthru":
            raise errors.Conflict(
                f"cannot use mode passthru, macvlan network {other.network_id} is already using parent interface {parent}"
            )
        if _macvlan_mode(other) == "passthru":
            raise errors.Conflict(
                f"macvlan network {other.network_id} is already using parent interface {parent} in mode passthru"
            )


def _check_ipvlan(network: Network, sharing: Sequence[Network]) -> None:
    mode, flag = _ipvlan_mode(network)
    if mode not in rtnetlink.IPVLAN_MODES:
        raise errors.InvalidArgument(
            f"requested ipvlan mode '{mode}' is not valid, 'l2' mode is the ipvlan driver default"
        )
    if flag not in rtnetlink.IPVLAN_FLAGS:
        raise errors.InvalidArgument(
            f"requested ipvlan flag '{flag}' is not valid, 'bridge' is the ipvlan driver default"
        )
    for other in sharing:
        if _ipvlan_mode(other)[0] != mode:
            raise errors.Conflict(
                f"network {other.network_id} is already using parent interface {network.options[PARENT]} in mode "
                f"{_ipvlan_mode(other)[0]}"
            )
