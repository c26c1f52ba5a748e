# SPDX-License-Identifier: Apache-2.0
"""The host's interface that macvlan and ipvlan networks sit on: found, or made (VLAN `eth0.10`, dummy `dm-…`).

What was made here goes with the last network that uses it; an interface that was there before is never touched.
Called by the drivers macvlan and ipvlan. Source: libnetwork `drivers/macvlan/macvlan_setup.go` (moby 28).
"""

from __future__ import annotations

import errno

from holdfast import errors
from holdfast.kernel import netlink, rtnetlink
from holdfast.networks import driver_options, interface
from holdfast.networks.network import PARENT, Network

_LARGEST_VLAN = 4094


def name_of(network: Network, prefix: str) -> str:
    """The parent that was asked for, or the dummy that stands in for one."""
    return network.options.get(PARENT) or f"{prefix}{network.network_id[:12]}"


def check(links: netlink.Socket, network: Network) -> None:
    """Raises InvalidArgument where the parent neither is there nor can be made."""
    parent = network.options.get(PARENT, "")
    if parent == "lo":
        raise errors.InvalidArgument(f"loopback interface is not a valid {network.driver} parent link")
    if parent and not driver_options.is_interface_name(parent):
        raise errors.InvalidArgument(f"invalid subinterface vlan name {parent}, example formatting is eth0.10")
    if parent and interface.find(links, parent) is None:
        _parse_vlan(links, parent)


def ensure(links: netlink.Socket, network: Network, prefix: str) -> int:
    """The parent's index; a missing dummy or VLAN is made."""
    name = name_of(network, prefix)
    found = interface.find(links, name)
    if found is None:
        if network.options.get(PARENT):
            parent, vlan_id = _parse_vlan(links, name)
            request = rtnetlink.create_vlan(name, parent=parent, vlan_id=vlan_id)
        else:
            request = rtnetlink.create_dummy(name)
        try:
            links.execute(request)
        except netlink.NetlinkError as error:
            raise _refused(name, error) from error
        found = interface.find(links, name)
    if found is None:
        raise errors.Internal(f"the parent interface {name} was not found on this host")
    return found.ifindex


def discard(links: netlink.Socket, network: Network, prefix: str) -> None:
    """Deletes a dummy, or a VLAN that `ensure` would make; the caller has seen that nobody else uses it."""
    name = name_of(network, prefix)
    found = interface.find(links, name)
    is_own = found is not None and found.kind == ("vlan" if network.options.get(PARENT) else "dummy")
    if is_own:
        links.execute(rtnetlink.delete_link(name))


def _parse_vlan(links: netlink.Socket, name: str) -> tuple[int, int]:
    parent, dot, number = name.rpartition(".")
    if not dot or "." in parent:
        raise errors.InvalidArgument(f"invalid subinterface vlan name {name}, example formatting is eth0.10")
    if not (number.isascii() and number.isdigit()):
        raise errors.InvalidArgument(f"unable to parse a valid vlan id from: {number} (ex. eth0.10 for vlan 10)")
    if not 1 <= int(number) <= _LARGEST_VLAN:
        raise errors.InvalidArgument(f"vlan id must be between 1-4094, received: {int(number)}")
    found = interface.find(links, parent)
    if found is None:
        raise errors.InvalidArgument(f"-o parent interface was not found on the host: {parent}")
    return found.ifindex, int(number)


def _refused(name: str, error: netlink.NetlinkError) -> errors.HoldfastError:
    text = f"failed to create parent interface {name}: {(error.strerror or '').lower()}"
    return errors.Unsupported(text) if error.errno == errno.EOPNOTSUPP else errors.Internal(text)
