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
from holdfast.kernel import conntrack, netlink
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
        for port in _udp(ports):
            flows = self._find(port, is_open=False)
            self._forget([flow for flow in flows if not flow.is_translated])

    def after_closing(self, ports: Iterable[PortRule]) -> None:
        """Forgets what is led to the ports' containers. Raises Internal."""
        for port in _udp(ports):
            self._forget(self._find(port, is_open=True))

    def _find(self, port: PortRule, *, is_open: bool) -> list[conntrack.Flow]:
        try:
            if is_open:
                return conntrack.udp_answered_by(self._links, port.container_ip, port.container_port)
            return conntrack.udp_sent_to_port(self._links, port.host_port, ipv6=":" in port.container_ip)
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.EOPNOTSUPP, errno.EPROTONOSUPPORT):
                return []
            raise errors.Internal(f"failed to look up the flows of port {port.host_port}: {error.strerror}") from error

    def _forget(self, flows: Iterable[conntrack.Flow]) -> None:
        for flow in flows:
            try:
                self._links.execute(flow.deletion)
            except netlink.NetlinkError as error:
                if error.errno != errno.ENOENT:
                    raise errors.Internal(f"failed to forget a flow: {error.strerror}") from error


def _udp(ports: Iterable[PortRule]) -> list[PortRule]:
    return [port for port in ports if port.protocol == "udp" and not port.is_routed]
