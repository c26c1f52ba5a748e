# SPDX-License-Identifier: Apache-2.0
"""`docker attach`: a client's socket becomes one of the container's streams.

A container that runs gets it at once (its shim does, the daemon is out of the way); one that does not keeps it for its
next start, so that no byte is lost. Called by `api.routes.containers` and the job start. Source: Engine API v1.51 ContainerAttach.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from holdfast.containers import Container, detach_keys
from holdfast.engine.packages import Packages
from holdfast.errors import Conflict, HoldfastError
from holdfast.shim.client import StreamGrant


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the client wants to see and say; `framed` is false for a client that gets both outputs as one stream."""

    framed: bool = True
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    keys: bytes = detach_keys.DEFAULT


def check(container: Container) -> None:
    """Raises Conflict when nothing can be attached now."""
    if container.state.status == "paused":
        raise Conflict(f"container {container.id} is paused, unpause the container before attach")
    if container.state.status == "restarting":
        raise Conflict(f"container {container.id} is restarting, wait until the container is running")


async def attach(*, packages: Packages, container: Container, wish: Wish, sock: socket.socket, pending: bytes) -> None:
    """Hands the socket over; it is closed here when that fails."""
    config = container.record.config
    grant = StreamGrant(
        sock=sock,
        stdin=wish.stdin and config.open_stdin,
        stdout=wish.stdout,
        stderr=wish.stderr,
        framed=wish.framed and not config.tty,
        detach_keys=wish.keys if config.tty else b"",
        pending=pending if config.open_stdin else b"",
        close_stdin_once=config.stdin_once,
    )
    packages.events.publish("container", "attach", container.id, container.attributes())
    shim = container.shim
    if shim is None or not container.state.has_process:
        container.pending = [*present(container.pending), grant]
        return
    try:
        await shim.attach(grant)
    except HoldfastError:
        sock.close()


def present(grants: Sequence[StreamGrant]) -> list[StreamGrant]:
    """The clients that are still there; one that only closed its sending side is."""
    found: list[StreamGrant] = []
    for grant in grants:
        poll = select.poll()
        poll.register(grant.sock, 0)
        if any(mask & (select.POLLHUP | select.POLLERR) for _, mask in poll.poll(0)):
            grant.sock.close()
        else:
            found.append(grant)
    return found
