# SPDX-License-Identifier: Apache-2.0
"""Links, addresses, routes and neighbours as netlink messages: builders that return requests, readers that parse.

Pure: nothing here touches a socket (`kernel.netlink.Socket` sends). Called by `networks.drivers`. One message makes a
veth pair whose far end is born inside another namespace, named and with its MAC: 0.3 ms against 1.5 ms in steps.
Source: rtnetlink(7), linux/if_link.h, linux/rtnetlink.h; kernel/test_netlink.py compares with `ip -j`.
"""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

from holdfast.kernel.netlink import (
    CREATE,
    EXCLUSIVE,
    REPLACE,
    Request,
    attribute,
    nested,
    parse_attributes,
    text_attribute,
    u32_attribute,
)

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")
_NEIGHBOUR = struct.Struct("=BxxxiHBB")

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30
GROUP_LINK, GROUP_IPV4_ADDRESS, GROUP_IPV4_ROUTE = 0x1, 0x10, 0x40

IFF_UP = 0x1
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_LINK, IFLA_MASTER = 1, 3, 4, 5, 10
IFLA_LINKINFO, IFLA_NET_NS_FD = 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
_IFLA_PROTINFO = 12
_INFO_SLAVE_KIND, _INFO_SLAVE_DATA = 4, 5
_VETH_INFO_PEER = 1
_BRPORT_STATE, _BRPORT_MODE, _BRPORT_FLUSH, _BRPORT_ISOLATED = 1, 4, 24, 33
IFA_ADDRESS, IFA_LOCAL, IFA_LABEL, IFA_BROADCAST = 1, 2, 3, 4
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PREFSRC, RTA_TABLE = 1, 4, 5, 7, 15
NDA_DST, NDA_LLADDR = 1, 2
_RT_TABLE_MAIN, _RTPROT_BOOT, _RTN_UNICAST = 254, 3, 1
_SCOPE_UNIVERSE, _SCOPE_LINK = 0, 253
_IFA_F_NODAD = 0x2
_VLAN_ID, _MACVLAN_MODE, _IPVLAN_MODE, _IPVLAN_FLAGS = 1, 1, 1, 2
MACVLAN_MODES = {"private": 1, "vepa": 2, "bridge": 4, "passthru": 8}
IPVLAN_MODES = {"l2": 0, "l3": 1, "l3s": 2}
IPVLAN_FLAGS = {"bridge": 0, "private": 1, "vepa": 2}
_NUD_PERMANENT = 0x80
_WITHOUT_STATISTICS = u32_attribute(29, 0x8)  # IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS
_IFLA_OPERSTATE, _OPERSTATE_UP = 16, b"\6"


class Link(NamedTuple):
    ifindex: int
    name: str
    flags: int
    kind: str
    mac: str
    mtu: int
    master: int
    is_operational: bool
    parent: int = 0

    @property
    def is_up(self) -> bool:
        return bool(self.flags & IFF_UP)


class Address(NamedTuple):
    ifindex: int
    address: str
    prefix_length: int


class Route(NamedTuple):
    """A unicast route of the main table; `destination` is empty for the default route."""

    destination: str
    prefix_length: int
    gateway: str
    ifindex: int


def _pack_address(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _text_address(data: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET6 if len(data) == 16 else socket.AF_INET, data) if data else ""


def _pack_mac(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def _link_header(index: int = 0, *, is_up: bool | None = None) -> bytes:
    flags = IFF_UP if is_up else 0
    return _LINK.pack(socket.AF_UNSPEC, 0, index, flags, 0 if is_up is None else IFF_UP)


def create_bridge(name: str, *, mtu: int, mac: str = "") -> Request:
    """`mtu` 0: as the kernel has it."""
    payload = _link_header(is_up=True) + text_attribute(IFLA_IFNAME, name) + _mtu(mtu)
    payload += nested(IFLA_LINKINFO, text_attribute(IFLA_INFO_KIND, "bridge"))
    return NEWLINK, CREATE | EXCLUSIVE, payload + (attribute(IFLA_ADDRESS, _pack_mac(mac)) if mac else b"")


def create_dummy(name: str) -> Request:
    """A link that leads nowhere, up."""
    kind = nested(IFLA_LINKINFO, text_attribute(IFLA_INFO_KIND, "dummy"))
    return NEWLINK, CREATE | EXCLUSIVE, _link_header(is_up=True) + text_attribute(IFLA_IFNAME, name) + kind


def create_vlan(name: str, *, parent: int, vlan_id: int) -> Request:
    """A link for one VLAN of another link, up."""
    data = nested(IFLA_INFO_DATA, attribute(_VLAN_ID, struct.pack("=H", vlan_id)))
    kind = nested(IFLA_LINKINFO, text_attribute(IFLA_INFO_KIND, "vlan"), data)
    payload = _link_header(is_up=True) + text_attribute(IFLA_IFNAME, name) + u32_attribute(IFLA_LINK, parent)
    return NEWLINK, CREATE | EXCLUSIVE, payload + kind


def create_macvlan(name: str, *, parent: int, mode: str, netns_fd: int, mtu: int, mac: str = "") -> Request:
    """A macvlan on a parent of this namespace, born in another one, down; `mode` is a key of MACVLAN_MODES."""
    data = u32_attribute(_MACVLAN_MODE, MACVLAN_MODES[mode])
    return _create_child(name, "macvlan", data, parent=parent, netns_fd=netns_fd, mtu=mtu, mac=mac)


def create_ipvlan(name: str, *, parent: int, mode: str, flag: str, netns_fd: int, mtu: int) -> Request:
    """An ipvlan likewise; `mode` is a key of IPVLAN_MODES, `flag` one of IPVLAN_FLAGS."""
    data = attribute(_IPVLAN_MODE, struct.pack("=H", IPVLAN_MODES[mode]))
    data += attribute(_IPVLAN_FLAGS, struct.pack("=H", IPVLAN_FLAGS[flag]))
    return _create_child(name, "ipvlan", data, parent=parent, netns_fd=netns_fd, mtu=mtu)


def _create_child(name: str, kind: str, data: bytes, *, parent: int, netns_fd: int, mtu: int, mac: str = "") -> Request:
    payload = _link_header() + text_attribute(IFLA_IFNAME, name) + _mtu(mtu)
    payload += u32_attribute(IFLA_LINK, parent) + u32_attribute(IFLA_NET_NS_FD, netns_fd)
    payload += attribute(IFLA_ADDRESS, _pack_mac(mac)) if mac else b""
    payload += nested(IFLA_LINKINFO, text_attribute(IFLA_INFO_KIND, kind), nested(IFLA_INFO_DATA, data))
    return NEWLINK, CREATE | EXCLUSIVE, payload


def _mtu(mtu: int) -> bytes:
    return u32_attribute(IFLA_MTU, mtu) if mtu else b""


def create_veth(
    name: str, *, peer_name: str, peer_mac: str, peer_netns_fd: int, master: int, mtu: int, mac: str = ""
) -> Request:
    """A veth pair: `name` here, up, on bridge `master`; the peer born in the namespace, still down.

    A peer that is to be born up is refused with ENOTCONN, as the pair is not joined yet (veth_open, Linux 6.18).
    """
    peer = (
        _link_header()
        + text_attribute(IFLA_IFNAME, peer_name)
        + _mtu(mtu)
        + u32_attribute(IFLA_NET_NS_FD, peer_netns_fd)
        + (attribute(IFLA_ADDRESS, _pack_mac(peer_mac)) if peer_mac else b"")
    )
    payload = (
        _link_header(is_up=True)
        + text_attribute(IFLA_IFNAME, name)
        + _mtu(mtu)
        + (u32_attribute(IFLA_MASTER, master) if master else b"")
        + (attribute(IFLA_ADDRESS, _pack_mac(mac)) if mac else b"")
        + nested(
            IFLA_LINKINFO,
            text_attribute(IFLA_INFO_KIND, "veth"),
            nested(IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer)),
        )
    )
    return NEWLINK, CREATE | EXCLUSIVE, payload


def set_link(index: int, *, is_up: bool | None = None, master: int | None = None, mtu: int | None = None) -> Request:
    payload = _link_header(index, is_up=is_up)
    if master is not None:
        payload += u32_attribute(IFLA_MASTER, master)
    if mtu is not None:
        payload += u32_attribute(IFLA_MTU, mtu)
    return NEWLINK, 0, payload


def rename_link(index: int, name: str) -> Request:
    """Gives a link that is down another name."""
    return NEWLINK, 0, _link_header(index) + text_attribute(IFLA_IFNAME, name)


def disable_bridge_port(ifindex: int) -> Request:
    """Cuts a bridge port off and forgets what was learnt on it; unlike a delete it waits for no grace period.

    The state only obeys the bridge family's own message: as slave data it is read and ignored (Linux 6.18).
    """
    port = nested(_IFLA_PROTINFO, attribute(_BRPORT_STATE, b"\0"), attribute(_BRPORT_FLUSH, b""))
    return SETLINK, 0, _LINK.pack(socket.AF_BRIDGE, 0, ifindex, 0, 0) + port


def reflect_on_bridge_port(name: str) -> Request:
    """Lets a bridge port send a frame back to where it came from ("hairpin mode")."""
    reflecting = nested(_INFO_SLAVE_DATA, attribute(_BRPORT_MODE, b"\1"))
    port = nested(IFLA_LINKINFO, text_attribute(_INFO_SLAVE_KIND, "bridge"), reflecting)
    return NEWLINK, 0, _link_header() + text_attribute(IFLA_IFNAME, name) + port


def isolate_bridge_port(name: str) -> Request:
    """Keeps a bridge port from exchanging frames with other isolated ports; the bridge's own host it still reaches."""
    isolated = nested(_INFO_SLAVE_DATA, attribute(_BRPORT_ISOLATED, b"\1"))
    port = nested(IFLA_LINKINFO, text_attribute(_INFO_SLAVE_KIND, "bridge"), isolated)
    return NEWLINK, 0, _link_header() + text_attribute(IFLA_IFNAME, name) + port


def delete_link(name: str) -> Request:
    """Deletes a link; synchronous in the kernel, 12-20 ms for a veth: not for a hot path."""
    return DELLINK, 0, _link_header() + text_attribute(IFLA_IFNAME, name)


def get_link(name: str) -> Request:
    """Asks for one link; from Linux 6.8 on the kernel first settles a carrier change that is still queued for it."""
    return GETLINK, 0, _link_header() + text_attribute(IFLA_IFNAME, name) + _WITHOUT_STATISTICS


def get_links() -> Request:
    return GETLINK, 0, _link_header() + _WITHOUT_STATISTICS


def add_address(
    index: int, address: str, prefix_length: int, *, broadcast: str = "", is_link_local: bool = False
) -> Request:
    """An IPv6 address counts at once: nobody else was given it, so it is not looked for first (DAD)."""
    family, packed = _pack_address(address)
    flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    scope = _SCOPE_LINK if is_link_local else _SCOPE_UNIVERSE
    payload = _ADDRESS.pack(family, prefix_length, flags, scope, index)
    payload += attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)
    if broadcast:
        payload += attribute(IFA_BROADCAST, _pack_address(broadcast)[1])
    return NEWADDR, CREATE | REPLACE, payload


def delete_address(index: int, address: str, prefix_length: int) -> Request:
    family, packed = _pack_address(address)
    return DELADDR, 0, _ADDRESS.pack(family, prefix_length, 0, 0, index) + attribute(IFA_LOCAL, packed)


def get_addresses(family: int = socket.AF_INET) -> Request:
    return GETADDR, 0, _ADDRESS.pack(family, 0, 0, 0, 0)


def add_route(gateway: str, *, destination: str = "", prefix_length: int = 0, index: int = 0) -> Request:
    """A route through `gateway`; without a destination the default route."""
    family, packed = _pack_address(gateway)
    payload = _ROUTE.pack(family, prefix_length, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, _SCOPE_UNIVERSE, _RTN_UNICAST, 0)
    payload += attribute(RTA_GATEWAY, packed)
    if destination:
        payload += attribute(RTA_DST, _pack_address(destination)[1])
    if index:
        payload += u32_attribute(RTA_OIF, index)
    return NEWROUTE, CREATE | REPLACE, payload


def add_device_route(index: int, *, ipv6: bool) -> Request:
    """A default route that names the link alone."""
    family = socket.AF_INET6 if ipv6 else socket.AF_INET
    scope = _SCOPE_UNIVERSE if ipv6 else _SCOPE_LINK
    payload = _ROUTE.pack(family, 0, 0, 0, _RT_TABLE_MAIN, _RTPROT_BOOT, scope, _RTN_UNICAST, 0)
    return NEWROUTE, CREATE | REPLACE, payload + u32_attribute(RTA_OIF, index)


def get_routes(family: int = socket.AF_INET) -> Request:
    return GETROUTE, 0, _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)


def add_neighbour(index: int, address: str, mac: str) -> Request:
    """A permanent neighbour entry."""
    family, packed = _pack_address(address)
    payload = _NEIGHBOUR.pack(family, index, _NUD_PERMANENT, 0, 0)
    return NEWNEIGH, CREATE | REPLACE, payload + attribute(NDA_DST, packed) + attribute(NDA_LLADDR, _pack_mac(mac))


def parse_link(payload: bytes) -> Link:
    _family, _type, index, flags, _change = _LINK.unpack_from(payload)
    found = parse_attributes(payload, _LINK.size)
    info = parse_attributes(found.get(IFLA_LINKINFO, b""))
    return Link(
        ifindex=index,
        name=_text(found.get(IFLA_IFNAME)),
        flags=flags,
        kind=_text(info.get(IFLA_INFO_KIND)),
        mac=found.get(IFLA_ADDRESS, b"").hex(":"),
        mtu=_u32(found.get(IFLA_MTU)),
        master=_u32(found.get(IFLA_MASTER)),
        is_operational=found.get(_IFLA_OPERSTATE) == _OPERSTATE_UP,
        parent=_u32(found.get(IFLA_LINK)),
    )


def parse_address(payload: bytes) -> Address:
    _family, prefix_length, _flags, _scope, index = _ADDRESS.unpack_from(payload)
    found = parse_attributes(payload, _ADDRESS.size)
    return Address(index, _text_address(found.get(IFA_LOCAL) or found.get(IFA_ADDRESS, b"")), prefix_length)


def parse_route(payload: bytes) -> Route | None:
    """The route of a dump's payload; None for tables and kinds other than the main table's unicast routes."""
    _family, prefix_length, _source, _tos, table, _protocol, _scope, kind, _flags = _ROUTE.unpack_from(payload)
    found = parse_attributes(payload, _ROUTE.size)
    if (_u32(found.get(RTA_TABLE)) != _RT_TABLE_MAIN and table != _RT_TABLE_MAIN) or kind != _RTN_UNICAST:
        return None
    return Route(
        destination=_text_address(found.get(RTA_DST, b"")),
        prefix_length=prefix_length,
        gateway=_text_address(found.get(RTA_GATEWAY, b"")),
        ifindex=_u32(found.get(RTA_OIF)),
    )


def _text(value: bytes | None) -> str:
    return value.rstrip(b"\0").decode(errors="replace") if value else ""


def _u32(value: bytes | None) -> int:
    return int(struct.unpack("=I", value[:4])[0]) if value else 0
