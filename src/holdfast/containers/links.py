# SPDX-License-Identifier: Apache-2.0
"""Links of a host configuration (`NAME:ALIAS`), as far as they are names: those outside a network of the user's. Pure.

Called by `store` and by the jobs of `engine`. Source: moby 28 `daemon/daemon_unix.go`, `daemon/delete.go`.
"""

from __future__ import annotations

from holdfast.containers.config import HostConfig

_NETWORKS = ("", "default", "bridge", "host", "none")


def split(text: str) -> tuple[str, str]:
    """(alias, whom it means); without an alias the name is one. `/NAME:/OWN/ALIAS` is how inspect shows a link."""
    reference, _, alias = text.partition(":")
    if reference.startswith("/"):
        alias = alias.rpartition("/")[2]
    return (alias or reference).lstrip("/"), reference


def shown(host: HostConfig) -> list[tuple[str, str]]:
    """Every (alias, whom it means); none in a network of the user's, where an alias is a name of the resolver."""
    return [split(text) for text in host.links or ()] if host.network_mode in _NETWORKS else []


def without(host: HostConfig, alias: str) -> list[str] | None:
    """The links but for the one of this alias."""
    return [text for text in host.links or () if split(text)[0] != alias] or None
