# SPDX-License-Identifier: Apache-2.0
"""The host's own resolvers, as its resolv.conf says now.

Read again when the file has changed, and looked at once a second at most, so that a host that moves to another network
takes its containers along. Source: resolv.conf(5).
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.dns.forward import Route

_LOOK_SECONDS = 1.0
_MAXIMUM = 3
_LIMIT = 64 * 1024


class HostUpstreams:
    """The servers of one file; asked from the host's namespace, where 127.0.0.53 is what the file means."""

    __slots__ = ("_looked_at", "_path", "_routes", "_stamp")

    def __init__(self, path: str = "/etc/resolv.conf") -> None:
        self._path = path
        self._routes: list[Route] = []
        self._stamp: tuple[int, int, int] | None = None
        self._looked_at = -_LOOK_SECONDS

    def routes(self) -> list[Route]:
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_SECONDS:
            self._looked_at = now
            self._look()
        return self._routes

    def _look(self) -> None:
        try:
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            self._stamp, self._routes = None, []
            return
        try:
            found = os.fstat(fd)
            stamp = (found.st_mtime_ns, found.st_ino, found.st_size)
            if stamp != self._stamp:
                self._routes = parse_nameservers(os.read(fd, _LIMIT).decode(errors="replace"))
                self._stamp = stamp
        finally:
            os.close(fd)


def parse_nameservers(text: str) -> list[Route]:
    """The first three nameserver lines."""
    lines = [line.split() for line in text.splitlines()]
    return [(words[1], True) for words in lines if len(words) > 1 and words[0] == "nameserver"][:_MAXIMUM]
