# SPDX-License-Identifier: Apache-2.0
"""Which requests on a network socket are refused before any route sees them.

A web page can make its reader's browser send requests to a loopback port (DNS rebinding, cross-site POST): requests with
an Origin are refused on every network socket, and on plain tcp the Host must be an address or a name of this machine.
Websocket libraries send the daemon's own address as the Origin, which no page has: that one is let through. Unix
sockets have no such peers. Called by `api.server`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping

from holdfast.api.http import Peer
from holdfast.errors import Forbidden


class HostPolicy:
    """The names by which plain tcp clients may call this daemon."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names = frozenset(name.lower() for name in (*names, socket.gethostname(), "localhost"))

    def check(self, peer: Peer, headers: Mapping[str, str]) -> None:
        """Forbidden (403) for a request that a web page may have caused."""
        if peer.transport == "unix":
            return
        if "origin" in headers and not self._is_own_websocket(headers):
            raise Forbidden("requests from web pages (with an Origin header) are refused")
        if peer.transport == "tcp" and not self.allows(headers.get("host", "")):
            raise Forbidden(f"host {headers.get('host', '')!r} is not a name of this daemon (see --allowed-host)")

    def _is_own_websocket(self, headers: Mapping[str, str]) -> bool:
        host = headers.get("host", "").lower()
        is_own = headers["origin"].lower().partition("://")[2] == host and self.allows(host)
        return is_own and headers.get("upgrade", "").lower() == "websocket"

    def allows(self, host: str) -> bool:
        """True for an address literal, localhost or a configured name, each with or without a port."""
        name = host.lower()
        if name.startswith("["):
            return _is_address(socket.AF_INET6, name[1:].partition("]")[0])
        name = name.partition(":")[0]
        return not name or name in self._names or name.endswith(".localhost") or _is_address(socket.AF_INET, name)


def _is_address(family: socket.AddressFamily, text: str) -> bool:
    try:
        socket.inet_pton(family, text)
    except OSError:
        return False
    return True
