# SPDX-License-Identifier: Apache-2.0
"""A container's interface from the inside: up, addressed, with its sysctls; and the sandbox's default routes.

Called by the drivers and, for the routes, by the controller. Cost of both: three exchanges with the kernel.
"""

from __future__ import annotations

import errno
import ipaddress
from contextlib import suppress

from holdfast import errors
from holdfast.kernel import netlink, rtnetlink
from holdfast.kernel.netns import Netns, write_sysctls
from holdfast.networks.gateways import Gateways
from holdfast.networks.values import Endpoint

_LINK_LOCAL_LENGTHS = {False: 16, True: 64}


class RefusedSysctls(OSError):
    """The kernel has no such sysctl, or it has no such value."""


def failure(error: OSError, text: str) -> errors.HoldfastError:
    """What a driver says when it could not join: whose fault it is follows from the error."""
    return errors.InvalidArgument(text) if isinstance(error, RefusedSysctls) else errors.Internal(text)


def find(links: netlink.Socket, name: str) -> rtnetlink.Link | None:
    """An interface of a namespace by its name; OSError for anything but its absence."""
    try:
        return rtnetlink.parse_link(links.ask(rtnetlink.get_link(name)))
    except netlink.NetlinkError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def rename(target: Netns, before: str, after: str) -> None:
    """Gives an interface that is down another name; raises OSError."""
    index = rtnetlink.parse_link(target.links.ask(rtnetlink.get_link(before))).ifindex
    target.links.execute(rtnetlink.rename_link(index, after))


def configure(endpoint: Endpoint, target: Netns) -> None:
    """Sets a new interface up; raises OSError."""
    index = rtnetlink.parse_link(target.links.ask(rtnetlink.get_link(endpoint.container_interface))).ifindex
    sysctls = list(endpoint.sysctls)
    if endpoint.ipv6_address or any(":" in address for address in endpoint.link_local_addresses):
        sysctls.insert(0, (f"ipv6/conf/{endpoint.container_interface}/disable_ipv6", "0"))
    if sysctls:
        try:
            write_sysctls(target, sysctls)
        except OSError as error:
            if not endpoint.sysctls:
                raise
            wanted = ", ".join([f"{name}={value}" for name, value in endpoint.sysctls])
            raise RefusedSysctls(error.errno, f"the kernel does not take {wanted}: {error.strerror}") from error
    target.links.execute(rtnetlink.set_link(index, is_up=True), *_addresses(endpoint, index))


def _addresses(endpoint: Endpoint, index: int) -> list[netlink.Request]:
    found: list[netlink.Request] = []
    if endpoint.ip_address:
        subnet = ipaddress.IPv4Interface(f"{endpoint.ip_address}/{endpoint.prefix_length}").network
        broadcast = str(subnet.broadcast_address)
        found.append(rtnetlink.add_address(index, endpoint.ip_address, endpoint.prefix_length, broadcast=broadcast))
    if endpoint.ipv6_address:
        found.append(rtnetlink.add_address(index, endpoint.ipv6_address, endpoint.ipv6_prefix_length))
    for address in endpoint.link_local_addresses:
        length = _LINK_LOCAL_LENGTHS[":" in address]
        found.append(rtnetlink.add_address(index, address, length, is_link_local=True))
    return found


def route(gateways: Gateways, target: Netns) -> None:
    """Leads the default routes of both families where they are to go; raises OSError."""
    batch: list[netlink.Request] = []
    for endpoint, ipv6 in ((gateways.ipv4, False), (gateways.ipv6, True)):
        if endpoint is None:
            continue
        gateway = endpoint.ipv6_gateway if ipv6 else endpoint.gateway
        if gateway and not ipaddress.ip_address(gateway).is_link_local:
            batch.append(rtnetlink.add_route(gateway))
            continue
        index = rtnetlink.parse_link(target.links.ask(rtnetlink.get_link(endpoint.container_interface))).ifindex
        if gateway:  # a link-local address may be on any link
            batch.append(rtnetlink.add_route(gateway, index=index))
        else:
            batch.append(rtnetlink.add_device_route(index, ipv6=ipv6))
    if batch:
        target.links.execute(*batch)


def strip(endpoint: Endpoint, target: Netns) -> None:
    """Takes the addresses, and with them the routes, off an interface; none there is fine. Raises OSError."""
    found = find(target.links, endpoint.container_interface)
    if found is None:
        return
    held = [(endpoint.ip_address, endpoint.prefix_length), (endpoint.ipv6_address, endpoint.ipv6_prefix_length)]
    held += [(address, _LINK_LOCAL_LENGTHS[":" in address]) for address in endpoint.link_local_addresses]
    for address, length in held:
        if address:
            with suppress(netlink.NetlinkError):
                target.links.execute(rtnetlink.delete_address(found.ifindex, address, length))


def remove(target: Netns, name: str) -> None:
    """Deletes an interface from the inside; none there is fine."""
    try:
        target.links.execute(rtnetlink.delete_link(name))
    except netlink.NetlinkError as error:
        if error.errno != errno.ENODEV:
            raise
