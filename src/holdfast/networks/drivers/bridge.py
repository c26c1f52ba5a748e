# SPDX-License-Identifier: Apache-2.0
"""Driver `bridge`: one Linux bridge per network, one veth pair per endpoint, the bridge's address is the gateway.

Cost of `join`: three exchanges with the kernel (pair, interface look-up, addresses) and three looks at the carrier,
some 0.5 ms; of `leave` with its namespace: two. Packets are filtered and translated by `networks.firewall`, not here.
Source: libnetwork `drivers/bridge` (moby 28).
"""

from __future__ import annotations

import errno
import ipaddress
import os
import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from holdfast import errors
from holdfast.kernel import netlink, netns, rtnetlink
from holdfast.networks import driver_options, host_subnets, interface
from holdfast.networks.driver import Repaired
from holdfast.networks.network import (
    BRIDGE_NAME,
    DEFAULT_BRIDGE,
    ENABLE_ICC,
    ENABLE_MASQUERADE,
    GATEWAY_MODE4,
    GATEWAY_MODE6,
    HOST_ADDRESS4,
    HOST_ADDRESS6,
    HOST_BINDING,
    INHIBIT_IPV4,
    INTERFACE_PREFIX,
    MTU,
    PREVENT_SPOOFING,
    TRUSTED_INTERFACES,
    Network,
)
from holdfast.networks.undertaker import Undertaker, nothing
from holdfast.networks.values import Endpoint

_LOOPBACK_ROUTING = "ipv4/conf/{}/route_localnet"
# Links: isolated ports exchange no frames, so the bridge answers for one container to the other and routes between them.
_LINK_ROUTING = (("ipv4/conf/{}/proxy_arp_pvlan", "1"), ("ipv4/neigh/{}/proxy_delay", "0"))
_BRIDGE_FILTER = "/proc/sys/net/bridge/bridge-nf-call-iptables"
_LINK_LOCAL = ("fe80::1", 64)
_SETTLE_ATTEMPTS, _SETTLE_SECONDS = 100, 0.001
_GATEWAY_MODES = ("nat", "nat-unprotected", "routed", "isolated")
VETH_PREFIX = "veth"


class Bridge:
    """All bridge networks of one host; `links` works in the host's namespace."""

    __slots__ = ("_ifindex", "_links", "_undertaker")

    name = "bridge"
    has_namespace = True

    def __init__(self, links: netlink.Socket, undertaker: Undertaker) -> None:
        self._links = links
        self._undertaker = undertaker
        self._ifindex: dict[str, int] = {}

    def check(self, network: Network) -> None:
        options = network.options
        for label in (DEFAULT_BRIDGE, ENABLE_ICC, ENABLE_MASQUERADE, INHIBIT_IPV4, PREVENT_SPOOFING):
            driver_options.check_flag(options, label)
        driver_options.check_mtu(options, MTU, minimum=1280 if network.enable_ipv6 else 68)
        driver_options.check_address(options, HOST_BINDING)
        driver_options.check_address(options, HOST_ADDRESS4, version=4)
        driver_options.check_address(options, HOST_ADDRESS6, version=6)
        for label in (GATEWAY_MODE4, GATEWAY_MODE6):
            driver_options.check_word(options, label, _GATEWAY_MODES, "unknown gateway mode")
            if options.get(label) == "isolated" and not network.internal:
                raise errors.InvalidArgument("gateway mode 'isolated' can only be used for an internal network")
        name = network.bridge_interface
        driver_options.check_interface_name(BRIDGE_NAME, name)
        driver_options.check_interface_name(INTERFACE_PREFIX, network.interface_prefix, more="0")
        for trusted in network.trusted_interfaces:
            driver_options.check_interface_name(TRUSTED_INTERFACES, trusted)
        found = self._find(name)
        if found is not None and found.kind != "bridge":
            raise errors.Conflict(f"existing interface {name} is not a bridge")

    def prepare(self, network: Network) -> None:
        name = network.bridge_interface
        self._undertaker.settle(name)
        link = self._find(name)
        try:
            if link is None:
                mac = "02:42:" + secrets.token_bytes(4).hex(":")
                self._links.execute(rtnetlink.create_bridge(name, mtu=network.mtu, mac=mac))
                link = self._find(name)
            elif link.kind == "bridge":
                self._clear(network, link.ifindex)
            if link is None or link.kind != "bridge":
                raise errors.Conflict(f"network {network.name} needs bridge {name}, but the host uses that name")
            self._configure(network, link.ifindex)
        except OSError as error:
            raise errors.Internal(
                f"failed to set up bridge {name} of network {network.name}: {error.strerror}"
            ) from error
        self._ifindex[network.network_id] = link.ifindex

    def _clear(self, network: Network, index: int) -> None:
        """Takes what the network had before off a bridge that is there already (moby: `setup_ipv4`, `programIPv6Addresses`).

        One IPv4 address, of the same subnet or the first: an administrator's second one stays.
        """
        pool = network.ipv4
        if pool is not None and pool.gateway and network.has_host_address:
            subnet = ipaddress.ip_network(pool.subnet)
            present = _interfaces(self._links, network.bridge_interface, ipv6=False)
            present.sort(key=lambda each: each.ip not in subnet)
            for old in present[:1]:
                if (str(old.ip), old.network) != (pool.gateway, subnet):
                    self._links.execute(rtnetlink.delete_address(index, str(old.ip), old.network.prefixlen))
        if network.ipv6 is not None:
            for old in _interfaces(self._links, network.bridge_interface, ipv6=True):
                if not old.ip.is_link_local and str(old.ip) != network.ipv6.gateway:
                    self._links.execute(rtnetlink.delete_address(index, str(old.ip), old.network.prefixlen))

    def _configure(self, network: Network, index: int) -> None:
        batch = [rtnetlink.set_link(index, is_up=True)]
        if network.ipv4 is not None and network.ipv4.gateway and network.has_host_address:
            subnet = ipaddress.IPv4Network(network.ipv4.subnet)
            broadcast = str(subnet.broadcast_address)
            batch.append(rtnetlink.add_address(index, network.ipv4.gateway, subnet.prefixlen, broadcast=broadcast))
        if network.ipv6 is not None:
            netns.write_sysctl(f"ipv6/conf/{network.bridge_interface}/disable_ipv6", "0")
            if network.ipv6.gateway:
                length = ipaddress.IPv6Network(network.ipv6.subnet).prefixlen
                batch += [
                    rtnetlink.add_address(index, network.ipv6.gateway, length),
                    rtnetlink.add_address(index, *_LINK_LOCAL, is_link_local=True),
                ]
        self._links.execute(*batch)
        netns.write_sysctl(_LOOPBACK_ROUTING.format(network.bridge_interface), "1")
        if network.is_predefined and not network.has_icc:
            for name, value in _LINK_ROUTING:
                netns.write_sysctl(name.format(network.bridge_interface), value)

    def discard(self, network: Network, then: Callable[[], None] = nothing) -> None:
        """Its addresses, and with them the host's routes, go at once."""
        self._ifindex.pop(network.network_id, None)
        link = self._find(network.bridge_interface)
        if link is None:
            then()
            return
        for pool in network.pools:
            if pool.gateway:
                length = ipaddress.ip_network(pool.subnet).prefixlen
                self._try(rtnetlink.delete_address(link.ifindex, pool.gateway, length))
        self._undertaker.bury(network.bridge_interface, then)

    def join(self, network: Network, endpoint: Endpoint, target: netns.Netns) -> None:
        try:
            self._make_pair(network, endpoint, target)
            interface.configure(endpoint, target)
            _settle(target.links, endpoint.container_interface)
            _settle(self._links, endpoint.host_interface)
            _settle(self._links, network.bridge_interface)
        except OSError as error:
            self._delete(endpoint.host_interface)
            raise interface.failure(
                error, f"failed to add interface {endpoint.host_interface} to network {network.name}: {error.strerror}"
            ) from error

    def _make_pair(self, network: Network, endpoint: Endpoint, target: netns.Netns) -> None:
        batch = [
            rtnetlink.create_veth(
                endpoint.host_interface,
                peer_name=endpoint.container_interface,
                peer_mac=endpoint.mac,
                peer_netns_fd=target.fd,
                master=self._ifindex[network.network_id],
                mtu=network.mtu,
            )
        ]
        if not network.has_icc:
            batch.append(rtnetlink.isolate_bridge_port(endpoint.host_interface))
        if _has_bridge_filter():
            batch.append(rtnetlink.reflect_on_bridge_port(endpoint.host_interface))
        try:
            self._links.execute(*batch)
        except netlink.NetlinkError as error:
            if error.errno != errno.EEXIST:
                raise
            self._undertaker.settle()  # a predecessor of the same name in this container is still being buried
            self._links.execute(*batch)

    def leave(self, network: Network, endpoint: Endpoint, netns_path: str, *, lives_on: bool) -> None:
        """Without the cut a successor with the same address would share it with a namespace that is still dying.

        In a namespace that lives on the interface has no address any more, and is gone some 20 ms later.
        """
        link = self._find(endpoint.host_interface)
        if link is None or not link.master:
            return
        try:
            self._links.execute(rtnetlink.disable_bridge_port(link.ifindex))
        except netlink.NetlinkError as error:
            if error.errno not in (errno.ENODEV, errno.EOPNOTSUPP):
                raise errors.Internal(f"failed to cut off interface {endpoint.host_interface}: {error}") from error
        if lives_on:
            _strip(endpoint, netns_path)
            self._undertaker.bury(endpoint.host_interface)

    def repair(self, network: Network, endpoints: Sequence[Endpoint]) -> Repaired:
        bridge = self._find(network.bridge_interface)
        if bridge is None:
            return Repaired([], [])
        links = [rtnetlink.parse_link(payload) for payload in self._links.dump(rtnetlink.get_links())]
        present = {link.name: link for link in links if link.name.startswith(VETH_PREFIX)}
        known = {endpoint.host_interface for endpoint in endpoints}
        strays = [link.name for link in present.values() if link.master == bridge.ifindex and link.name not in known]
        for name in strays:
            self._delete(name)
        astray = [present[name] for name in known if name in present and present[name].master != bridge.ifindex]
        for link in astray:
            self._links.execute(rtnetlink.set_link(link.ifindex, is_up=True, master=bridge.ifindex))
        lost = [endpoint for endpoint in endpoints if endpoint.host_interface not in present]
        return Repaired([*strays, *[link.name for link in astray]], lost)

    def _find(self, name: str) -> rtnetlink.Link | None:
        try:
            return interface.find(self._links, name)
        except OSError as error:
            raise errors.Internal(f"failed to look up interface {name}: {os.strerror(error.errno or 0)}") from error

    def _try(self, request: netlink.Request) -> None:
        """What is not there any more need not be taken away."""
        with suppress(netlink.NetlinkError):
            self._links.execute(request)

    def _delete(self, name: str) -> None:
        try:
            self._links.execute(rtnetlink.delete_link(name))
        except netlink.NetlinkError as error:
            if error.errno != errno.ENODEV:
                raise errors.Internal(f"failed to delete interface {name}: {error}") from error


def _interfaces(
    links: netlink.Socket, name: str, *, ipv6: bool
) -> list[ipaddress.IPv4Interface | ipaddress.IPv6Interface]:
    return [ipaddress.ip_interface(each) for each in host_subnets.addresses_of(links, name, ipv6=ipv6)]


def _strip(endpoint: Endpoint, netns_path: str) -> None:
    """Takes the addresses, and with them the routes, off a container's interface."""
    try:
        with netns.enter(netns_path) as inside:
            interface.strip(endpoint, inside)
    except OSError as error:
        raise errors.Internal(f"failed to strip interface {endpoint.container_interface}: {error}") from error


def _settle(links: netlink.Socket, name: str) -> None:
    """Waits until the kernel has worked off the carrier's change, or the container's first packet is lost for 1 s."""
    for _ in range(_SETTLE_ATTEMPTS):
        if rtnetlink.parse_link(links.ask(rtnetlink.get_link(name))).is_operational:
            return
        time.sleep(_SETTLE_SECONDS)


def _has_bridge_filter() -> bool:
    """With br_netfilter a container that reaches itself through its published port is translated inside the bridge."""
    try:
        with open(_BRIDGE_FILTER, "rb", buffering=0) as file:
            return file.read(1) == b"1"
    except OSError:
        return False
