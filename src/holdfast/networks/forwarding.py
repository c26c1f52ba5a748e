# SPDX-License-Identifier: Apache-2.0
"""Whether this host forwards packets, by each protocol, and whether it was us who made it do so.

A host that only became a router for its containers must not route between its neighbours: the firewall then drops
what concerns no container. So the order is: `claim` leaves the mark, the firewall is told, `switch_on` switches. The
marks lie below the exec root, which ends with the boot as the setting does. Called by the controller.
"""

from __future__ import annotations

from pathlib import Path

from holdfast.kernel import netns

_SYSCTLS = {False: "ipv4/ip_forward", True: "ipv6/conf/all/forwarding"}
_MARKS = {False: "forwarding-is-ours", True: "forwarding-ipv6-is-ours"}
_ROOT = Path("/proc/sys/net")
_ACCEPT_ALWAYS = "2"


def claim(directory: Path, *, ipv6: bool = False) -> None:
    """Leaves the mark in `directory` where forwarding is off; a host without the protocol needs none."""
    path = _ROOT / _SYSCTLS[ipv6]
    if path.exists() and path.read_text(encoding="ascii").strip() == "0":
        (directory / _MARKS[ipv6]).touch(mode=0o600)


def switch_on(*, ipv6: bool = False) -> None:
    """Switches forwarding on where it is off."""
    path = _ROOT / _SYSCTLS[ipv6]
    if not path.exists() or path.read_text(encoding="ascii").strip() != "0":
        return
    if ipv6:
        _keep_router_advertisements()
    netns.write_sysctl(_SYSCTLS[ipv6], "1")


def is_router(directory: Path, *, ipv6: bool = False) -> bool:
    """Whether the host forwards by its administrator's will."""
    return not (directory / _MARKS[ipv6]).exists()


def _keep_router_advertisements() -> None:
    """A forwarding host does not listen to routers any more, and would lose its own way out, unless told so (2)."""
    for path in (_ROOT / "ipv6/conf").glob("*/accept_ra"):
        if path.read_text(encoding="ascii").strip() == "1":
            netns.write_sysctl(f"ipv6/conf/{path.parent.name}/accept_ra", _ACCEPT_ALWAYS)
