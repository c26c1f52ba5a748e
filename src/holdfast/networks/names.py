# SPDX-License-Identifier: Apache-2.0
"""Who is called what in which network: the value that a resolver answers from, and what a resolver is. Pure.

The controller publishes one `SandboxNames` per container that is in a network with names, again and whole at every
change (connect, disconnect, rename, the daemon's restart), and withdraws it when the container's network goes. The
names that a container can ask for are those of all published sandboxes in its own networks, its links first.
Source: libnetwork `resolver.go`, `sandbox_dns_unix.go` (moby 28).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """A server for names that are nobody's here; `in_host`: it is asked from the host's namespace, not the container's."""

    address: str
    in_host: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a container is called, and where it is, in one network.

    `names`: container name, aliases, short id, in this order; the first is what PTR answers (`NAME.NETWORK`).
    `links`: (what this container calls it, its container name or id) pairs, known to this container only.
    """

    network_id: str
    network_name: str
    names: tuple[str, ...]
    ipv4: tuple[str, ...] = ()
    ipv6: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxNames:
    """One container's place in every network that has names, the best one first, and how it asks for others.

    `netns_path`: where 127.0.0.11 is to answer. `can_forward` is false in internal networks only: nothing is asked
    from the host's namespace then. `keeps_single_labels`: nobody is asked for a name without a dot. No `upstreams`:
    the host's own, as its resolv.conf says at the time of the question.
    """

    sandbox_id: str
    container_id: str
    container_name: str
    netns_path: str
    places: tuple[Place, ...]
    upstreams: tuple[Upstream, ...] = ()
    can_forward: bool = True
    keeps_single_labels: bool = False


class Resolver(Protocol):
    """Answers names at 127.0.0.11 of every published sandbox; called from the controller's thread, so it is quick."""

    def start(self, published: Sequence[SandboxNames]) -> None:
        """What is wanted after a (re)start of the daemon; anything else that still answers is stopped."""
        ...

    def publish(self, names: SandboxNames) -> None:
        """Adds or replaces a sandbox; raises Internal when it cannot answer there."""
        ...

    def withdraw(self, sandbox_id: str) -> None:
        """Forgets a sandbox; idempotent."""
        ...

    def fileno(self) -> int:
        """Readable when `repair` has something to look at; -1 when there is nothing to watch."""
        ...

    def repair(self) -> str:
        """Puts right what is not; returns what was done, for the daemon's log, or nothing."""
        ...

    def close(self) -> None:
        """Lets go of what the daemon holds; answers go on."""
        ...


class NoResolver:
    """The stand-in where nobody answers names."""

    __slots__ = ()

    def start(self, published: Sequence[SandboxNames]) -> None:
        """Nothing to start."""

    def publish(self, names: SandboxNames) -> None:
        """Nobody is told."""

    def withdraw(self, sandbox_id: str) -> None:
        """Nobody knew."""

    def fileno(self) -> int:
        return -1

    def repair(self) -> str:
        return ""

    def close(self) -> None:
        """Holds nothing."""
