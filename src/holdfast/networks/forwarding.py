# SPDX-License-Identifier: Apache-2.0
"""Whether this host forwards packets, and whether it was us who made it do so.

A host that only became a router for its containers must not route between its neighbours: the firewall then drops
what concerns no container. The mark lies below the exec root, which ends with the boot as the setting does.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.kernel import netns

_FILE = Path("/proc/sys/net/ipv4/ip_forward")
_MARK = "forwarding-is-ours"


def switch_on(directory: Path) -> None:
    """Switches IPv4 forwarding on where it is off, and leaves the mark in `directory` first."""
    if _FILE.read_text(encoding="ascii").strip() != "1":
        (directory / _MARK).touch(mode=0o600)
        netns.write_sysctl("ipv4/ip_forward", "1")


def is_router(directory: Path) -> bool:
    """Whether the host forwards by its administrator's will."""
    return not (directory / _MARK).exists()
