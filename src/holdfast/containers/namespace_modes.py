# SPDX-License-Identifier: Apache-2.0
"""The namespace modes (`host`, `private`, `container:ID`, …): which are words of Docker's, which conflict. Pure.

Called by `validation`, `spec` and the jobs that look up joined containers. Source: moby `runconfig`, `container/hostconfig`.
"""

from __future__ import annotations

from holdfast.containers.config import Config, HostConfig
from holdfast.errors import InvalidArgument

_CONTAINER = "container:"
HOST_AND_LINKS = (
    "conflicting options: host type networking can't be used with links. This would result in undefined behavior"
)
"""What Docker says of a link from, or to, a container in the host's network."""
_CONTAINER_AND_LINKS = HOST_AND_LINKS.replace("host type networking", "container type network")


def joined_container(mode: str) -> str | None:
    """The name or id in `container:X`; None for other modes."""
    return mode[len(_CONTAINER) :] if mode.startswith(_CONTAINER) else None


def check(config: Config, host: HostConfig) -> None:
    """Raises InvalidArgument for unknown modes and for options that a mode forbids."""
    _check_word("IPC", host.ipc_mode, ("", "none", "private", "shareable", "host"))
    _check_word("PID", host.pid_mode, ("", "host"))
    if host.uts_mode not in ("", "host"):
        raise InvalidArgument(f"invalid UTS mode: {host.uts_mode}")
    if host.cgroupns_mode not in ("", "private", "host"):
        raise InvalidArgument(f"invalid cgroup namespace mode: {host.cgroupns_mode}")
    if host.userns_mode not in ("", "host"):
        raise InvalidArgument(f"invalid USER mode: {host.userns_mode}")
    if host.uts_mode == "host" and config.hostname:
        raise InvalidArgument("conflicting options: hostname and the UTS mode")
    if host.privileged and host.cgroupns_mode == "private" and host.userns_mode:
        raise InvalidArgument("conflicting options: cgroup namespace and the user namespace mode")
    _check_network(config, host)


def _check_word(kind: str, mode: str, words: tuple[str, ...]) -> None:
    joined = joined_container(mode)
    if joined is None and mode not in words:
        raise InvalidArgument(f"invalid {kind} mode: {mode}")
    if joined == "":
        raise InvalidArgument(f"invalid {kind} mode: {mode}")


def _check_network(config: Config, host: HostConfig) -> None:
    mode = host.network_mode
    joined = joined_container(mode)
    if joined == "" or mode == "container":
        raise InvalidArgument("invalid network mode: invalid container format container:<name|id>")
    if mode == "host" and host.links:
        raise InvalidArgument(HOST_AND_LINKS)
    if joined is None:
        return
    if host.links and not config.hostname:
        raise InvalidArgument(_CONTAINER_AND_LINKS)
    for name, value in (
        ("hostname", config.hostname),
        ("dns", host.dns),
        ("custom host-to-IP mapping", host.extra_hosts),
        ("port publishing", host.port_bindings or host.publish_all_ports),
        ("port exposing", config.exposed_ports),
    ):
        if value:
            what = "the container type network mode" if name.startswith("port") else "the network mode"
            raise InvalidArgument(f"conflicting options: {name} and {what}")
