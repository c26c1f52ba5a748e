# SPDX-License-Identifier: Apache-2.0
"""Driver `bridge`: one Linux bridge per network, one veth pair per endpoint, the bridge's address is the gateway.

Cost of `join`: three exchanges with the kernel (pair, interface look-up, addresses and route) and three
looks at the carrier, some 0.5 ms; of
`leave`: two. Packets are filtered and translated by `networks.firewall`, not here.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import time
from collections.abc import Collection

from holdfast import errors
from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.networks.network import Network
from holdfast.networks.values import Endpoint

_LOOPBACK_ROUTING = "ipv4/conf/{}/route_localnet"
_BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_SETTLE_ATTEMPTS, _SETTLE_SECONDS = 100, 0.001
VETH_PREFIX = "veth"


class Bridge:
    """All bridge networks of one host; `links` works in the host's namespace."""

    __slots__ = ("_ifindex", "_links")

    name = "bridge"
    has_namespace = True

    def __init__(self, links: netlink.Socket) -> None:
        self._links = links
        self._ifindex: dict[str, int] = {}

    def prepare(self, network: Network) -> None:
        interface = network.bridge_interface
        link = self._find(interface)
        if link is None:
            mac = "02:42:" + secrets.token_bytes(4).hex(":")
            self._links.execute(rtnetlink.create_bridge(interface, mtu=network.mtu, mac=mac))
            link = self._find(interface)
        if link is None or link.kind != "bridge":
            raise errors.Conflict(f"network {network.name} needs bridge {interface}, but the host uses that name")
        subnet = ipaddress.IPv4Network(network.subnet)
        self._links.execute(
            rtnetlink.add_address(
                link.ifindex, network.gateway, subnet.prefixlen, broadcast=str(subnet.broadcast_address)
            ),
            rtnetlink.set_link(link.ifindex, is_up=True),
        )
        netns.write_sysctl(_LOOPBACK_ROUTING.format(interface), "1")
        self._ifindex[network.network_id] = link.ifindex

    def discard(self, network: Network) -> None:
        self._ifindex.pop(network.network_id, None)
        self._delete(network.bridge_interface)

    def join(self, network: Network, endpoint: Endpoint, target: netns.Netns, *, is_default_route: bool) -> None:
        try:
            self._links.execute(
                rtnetlink.create_veth(
                    endpoint.host_interface,
                    peer_name=endpoint.container_interface,
                    peer_mac=endpoint.mac,
                    peer_netns_fd=target.fd,
                    master=self._ifindex[network.network_id],
                    mtu=network.mtu,
                ),
                *([rtnetlink.reflect_on_bridge_port(endpoint.host_interface)] if _has_bridge_filter() else []),
            )
            self._configure(endpoint, target, is_default_route=is_default_route)
            _settle(target.links, endpoint.container_interface)
            _settle(self._links, endpoint.host_interface)
            _settle(self._links, network.bridge_interface)
        except OSError as error:
            self._delete(endpoint.host_interface)
            raise errors.Internal(
                f"failed to add interface {endpoint.host_interface} to network {network.name}: {error.strerror}"
            ) from error

    def _configure(self, endpoint: Endpoint, target: netns.Netns, *, is_default_route: bool) -> None:
        inside = rtnetlink.parse_link(target.links.ask(rtnetlink.get_link(endpoint.container_interface))).ifindex
        broadcast = ipaddress.IPv4Interface(f"{endpoint.ip_address}/{endpoint.prefix_length}").network.broadcast_address
        batch = [
            rtnetlink.set_link(inside, is_up=True),
            rtnetlink.add_address(inside, endpoint.ip_address, endpoint.prefix_length, broadcast=str(broadcast)),
        ]
        if is_default_route and endpoint.gateway:
            batch.append(rtnetlink.add_route(endpoint.gateway))
        target.links.execute(*batch)

    def leave(self, network: Network, endpoint: Endpoint) -> None:
        """Without this a successor with the same address would share it with a namespace that is still dying."""
        link = self._find(endpoint.host_interface)
        if link is None or not link.master:
            return
        try:
            self._links.execute(rtnetlink.disable_bridge_port(link.ifindex))
        except netlink.NetlinkError as error:
            if error.errno not in (errno.ENODEV, errno.EOPNOTSUPP):
                raise errors.Internal(f"failed to cut off interface {endpoint.host_interface}: {error}") from error

    def remove_strays(self, network: Network, known: Collection[str]) -> list[str]:
        bridge = self._find(network.bridge_interface)
        if bridge is None:
            return []
        links = [rtnetlink.parse_link(payload) for payload in self._links.dump(rtnetlink.get_links())]
        strays = [
            link.name
            for link in links
            if link.master == bridge.ifindex and link.name.startswith(VETH_PREFIX) and link.name not in known
        ]
        for name in strays:
            self._delete(name)
        return strays

    def _find(self, interface: str) -> rtnetlink.Link | None:
        try:
            return rtnetlink.parse_link(self._links.ask(rtnetlink.get_link(interface)))
        except netlink.NetlinkError as error:
            if error.errno == errno.ENODEV:
                return None
            raise errors.Internal(
                f"failed to look up interface {interface}: {os.strerror(error.errno or 0)}"
            ) from error

    def _delete(self, interface: str) -> None:
        try:
            self._links.execute(rtnetlink.delete_link(interface))
        except netlink.NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise errors.Internal(f"failed to delete interface {interface}: {error}") from error


def _settle(links: netlink.Socket, interface: str) -> None:
    """Waits until the kernel has worked off the carrier's change, or the container's first packet is lost for 1 s."""
    for _ in range(_SETTLE_ATTEMPTS):
        if rtnetlink.parse_link(links.ask(rtnetlink.get_link(interface))).is_operational:
            return
        time.sleep(_SETTLE_SECONDS)


def _has_bridge_filter() -> bool:
    """With br_netfilter a container that reaches itself through its published port is translated inside the bridge."""
    try:
        with open(_BRIDGE_FILTER, "rb", buffering=0) as file:
            return file.read(1) == b"1"
    except OSError:
        return False
