# SPDX-License-Identifier: Apache-2.0
"""Which names a sandbox may ask for and what they mean. Pure: knows neither messages nor sockets.

A name is known in a network; a sandbox sees the names of its own networks only, best network first, and its links
before all. `NAME.NETWORK` means a name in that network. Names are compared in lower case. Filled by `main` with what
the daemon publishes (`networks.names.SandboxNames`, as a message), asked by `answers`.
Source: libnetwork `sandbox.go` ResolveName, ResolveIP (moby 28).
"""

from __future__ import annotations

import socket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.companions.control import Message


class Member:
    """A container in a network: packed addresses of each family."""

    __slots__ = ("container_name", "ipv4", "ipv6", "names", "sandbox_id")

    def __init__(self, sandbox_id: str, place: Message) -> None:
        self.sandbox_id = sandbox_id
        self.names: list[str] = [name.lower() for name in place["names"]]
        self.container_name: str = place["names"][0] if place["names"] else ""
        self.ipv4: list[bytes] = [_pack(address) for address in place["ipv4"]]
        self.ipv6: list[bytes] = [_pack(address) for address in place["ipv6"]]


def _pack(address: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


class Network:
    """The members of a network by name and by address."""

    __slots__ = ("by_address", "by_name", "members", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[str, Member] = {}
        self.by_name: dict[str, list[Member]] = {}
        self.by_address: dict[bytes, Member] = {}

    def add(self, member: Member) -> None:
        self.members[member.sandbox_id] = member
        for name in dict.fromkeys(member.names):
            self.by_name.setdefault(name, []).append(member)
        for address in (*member.ipv4, *member.ipv6):
            self.by_address[address] = member

    def remove(self, sandbox_id: str) -> None:
        member = self.members.pop(sandbox_id, None)
        if member is None:
            return
        for name in dict.fromkeys(member.names):
            self.by_name[name].remove(member)
            if not self.by_name[name]:
                del self.by_name[name]
        for address in (*member.ipv4, *member.ipv6):
            if self.by_address.get(address) is member:
                del self.by_address[address]


class View:
    """What one sandbox sees: its networks in order, each with its links in lower case."""

    __slots__ = ("places",)

    def __init__(self, places: list[tuple[str, dict[str, str]]]) -> None:
        self.places = places


class Table:
    """All networks and sandboxes of a daemon. `version` changes whenever an answer may."""

    __slots__ = ("_networks", "_views", "version")

    def __init__(self) -> None:
        self._networks: dict[str, Network] = {}
        self._views: dict[str, View] = {}
        self.version = 0

    def put(self, published: Message) -> None:
        """Adds or replaces a sandbox."""
        sandbox_id: str = published["sandbox_id"]
        self.remove(sandbox_id)
        places: list[tuple[str, dict[str, str]]] = []
        for place in published["places"]:
            network = self._networks.setdefault(place["network_id"], Network(""))
            network.name = place["network_name"].lower()
            network.add(Member(sandbox_id, place))
            places.append((place["network_id"], {alias.lower(): target.lower() for alias, target in place["links"]}))
        self._views[sandbox_id] = View(places)

    def remove(self, sandbox_id: str) -> None:
        """Forgets a sandbox; idempotent."""
        self.version += 1
        view = self._views.pop(sandbox_id, None)
        for network_id, _ in view.places if view else ():
            network = self._networks.get(network_id)
            if network is None:
                continue
            network.remove(sandbox_id)
            if not network.members:
                del self._networks[network_id]

    def find(self, sandbox_id: str, name: str, *, ipv6: bool) -> list[bytes] | None:
        """The addresses of a name in lower case; empty when it has none of that family, None when it is nobody's."""
        is_known = False
        for network, links in self._places(sandbox_id):
            members = _members(network, links, name)
            found = [address for member in members for address in (member.ipv6 if ipv6 else member.ipv4)]
            if found:
                return found
            is_known = is_known or bool(members)
        return [] if is_known else None

    def find_name(self, sandbox_id: str, address: bytes) -> str:
        """`CONTAINER.NETWORK` of an address in one of the sandbox's networks, or nothing."""
        for network, _ in self._places(sandbox_id):
            member = network.by_address.get(address)
            if member is not None:
                return f"{member.container_name}.{network.name}"
        return ""

    def _places(self, sandbox_id: str) -> list[tuple[Network, dict[str, str]]]:
        view = self._views.get(sandbox_id)
        return [(self._networks[network_id], links) for network_id, links in view.places] if view else []


def _members(network: Network, links: dict[str, str], name: str) -> list[Member]:
    """A short id that a link names finds its container, as short ids are names."""
    if name in links:
        target = links[name]
        return network.by_name.get(target) or network.by_name.get(target[:12], [])
    members = network.by_name.get(name)
    if members is None:
        inner = name.removesuffix(f".{network.name.lower()}")
        if inner and inner != name:
            return _members(network, links, inner)
    return members or []
