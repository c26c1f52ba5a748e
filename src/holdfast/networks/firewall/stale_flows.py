# SPDX-License-Identifier: Apache-2.0
"""Forgets UDP flows that a published port's coming or going has made wrong.

A client that keeps sending from one port keeps the translation that its first datagram got. So after a port is closed
the flows to its container go, or they would be led there for ever; and after a port is opened those go that reached
the host itself until then. TCP needs none of it: a new connection is looked up anew. Called by `tables`.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable

from holdfast import errors
from holdfast.kernel import conntrack, netlink, nfelement
from holdfast.networks.firewall.values import PortRule


class StaleFlows:
    """In the network namespace of the calling thread; a host without connection tracking has no flows to forget."""

    __slots__ = ("_links",)

    def __init__(self) -> None:
        self._links = netlink.Socket(protocol=conntrack.NETFILTER)

    def close(self) -> None:
        self._links.close()

    def after_opening(self, ports: Iterable[PortRule]) -> None:
        """Forgets what was sent to the ports when they were nobody's. Raises Internal."""
        for is_ipv6, opened in _udp(ports):
            targets = {port.host_port for port in opened}
            flows = self._find(opened, is_ipv6, is_open=False)
            self._forget([each for each in flows if each.original.target_port in targets and not each.is_translated])

    def after_closing(self, ports: Iterable[PortRule]) -> None:
        """Forgets what is led to the ports' containers. Raises Internal."""
        for is_ipv6, closed in _udp(ports):
            ends = {(nfelement.address(port.container_ip), port.container_port) for port in closed}
            flows = self._find(closed, is_ipv6, is_open=True)
            self._forget([each for each in flows if (each.reply.source, each.reply.source_port) in ends])

    def _find(self, ports: list[PortRule], is_ipv6: bool, *, is_open: bool) -> list[conntrack.Flow]:
        """One walk through the kernel's table: for a single port it chooses, for more we do."""
        try:
            if len(ports) > 1:
                return conntrack.udp_flows(self._links, ipv6=is_ipv6)
            if is_open:
                return conntrack.udp_answered_by(self._links, ports[0].container_ip, ports[0].container_port)
            return conntrack.udp_sent_to_port(self._links, ports[0].host_port, ipv6=is_ipv6)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                return []
            raise errors.Internal(f"failed to look up flows: {error.strerror}") from error

    def _forget(self, flows: Iterable[conntrack.Flow]) -> None:
        for flow in flows:
            try:
                self._links.execute(flow.deletion)
            except netlink.NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise errors.Internal(f"failed to forget a flow: {error.strerror}") from error


def _udp(ports: Iterable[PortRule]) -> list[tuple[bool, list[PortRule]]]:
    """The UDP ports that are translated, by family."""
    found: dict[bool, list[PortRule]] = {}
    for port in ports:
        if port.protocol == "udp" and not port.is_routed:
            found.setdefault(":" in port.container_ip, []).append(port)
    return list(found.items())
