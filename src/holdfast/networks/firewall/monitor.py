# SPDX-License-Identifier: Apache-2.0
"""Notices that somebody else has changed the host's packet rules.

The kernel tells every change of any table, with the process that made it; ours are left out. The owner (the daemon)
watches `fileno`, asks `read`, and lets the controller put right whatever is not right any more. Source:
linux/netfilter/nfnetlink.h NFNLGRP_NFTABLES, nf_tables.h NFT_MSG_NEWGEN.
"""

from __future__ import annotations

import errno
import os

from holdfast.kernel import netlink

_NETFILTER = 12
_GROUP_NFTABLES = 1 << 6
_NEW_GENERATION = (10 << 8) | 15
_HEADER_BYTES = 4
_GENERATION_PID, _GENERATION_NAME = 2, 3
_RECEIVE_BYTES = 1 << 20
_DAEMONS = (b"holdfastd", b"holdfast.daemon.main")
_PROGRAM_WORDS = 4
_ADVICE = (
    "two of them in one network namespace undo what keeps the other's containers apart: "
    "give one a namespace of its own, or --iptables=false --ip6tables=false"
)


class Monitor:
    """In the network namespace of the calling thread; never blocks."""

    __slots__ = ("_socket",)

    def __init__(self) -> None:
        self._socket = netlink.Socket(protocol=_NETFILTER, groups=_GROUP_NFTABLES)

    def fileno(self) -> int:
        """Readable when something has changed."""
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def read(self) -> list[str]:
        """Who has changed something since the last time, each but once; not ourselves."""
        found: dict[str, None] = {}
        while True:
            try:
                events = self._socket.take_events()
            except BlockingIOError:
                return list(found)
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                found["somebody"] = None  # so many changes that the kernel gave up telling
                continue
            for kind, payload in events:
                if kind == _NEW_GENERATION:
                    who = parse_generation(payload)
                    if who is not None:
                        found[who] = None


def parse_generation(payload: bytes) -> str | None:
    """The thread that made a change, None when it is one of this process."""
    attributes = netlink.parse_attributes(payload, _HEADER_BYTES)
    pid = int.from_bytes(attributes.get(_GENERATION_PID, b""), "big")
    if os.path.exists(f"/proc/self/task/{pid}"):
        return None
    if _is_daemon(pid):
        return f"another holdfastd (process {pid}; {_ADVICE})"
    name = attributes.get(_GENERATION_NAME, b"").rstrip(b"\0").decode(errors="replace")
    return f"{name} (process {pid})" if name else f"process {pid}"


def _is_daemon(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            words = file.read().split(b"\0")
    except OSError:
        return False
    return any(os.path.basename(word) in _DAEMONS for word in words[:_PROGRAM_WORDS])
