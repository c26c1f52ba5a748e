# SPDX-License-Identifier: Apache-2.0
"""The relay process: one per daemon, a companion; started with the first port that needs it, by `client`.

It accepts what comes to the ports and carries it to their containers, as dockerd's proxy process per port does. The
sockets are the daemon's too, so nobody else gets a port while one of the two lives, and what knocks while the relay is
replaced waits. It keeps nothing on disk, imports next to nothing, and a port costs it one descriptor.
"""

from __future__ import annotations

import os
import socket

from holdfast.kernel.loop import Loop
from holdfast.networks.companions import server
from holdfast.networks.relay import protocol
from holdfast.networks.relay.datagrams import DatagramPort
from holdfast.networks.relay.streams import Pipes, StreamPort

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.companions.control import Message

    Port = StreamPort | DatagramPort

NAME = "hold-relay"


def main() -> None:
    """Serves until the daemon says `leave`, or nobody can ever find it again."""
    listener = server.become(NAME)
    loop = Loop()
    ports = Ports(loop)
    server.Server(loop, listener, protocol.VERSION, ports.act, lambda: ports.has_any)
    server.serve(loop)


class Ports:
    """All ports of one relay by their key."""

    __slots__ = ("_loop", "_pipes", "_ports", "_unwanted")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._pipes = Pipes()
        self._ports: dict[str, Port] = {}
        self._unwanted: set[str] = set()

    @property
    def has_any(self) -> bool:
        return bool(self._ports)

    def act(self, request: Message, fds: list[int]) -> tuple[Message, list[int]] | None:
        """Carries one order out; raises what `companions.server` expects."""
        match request["do"]:
            case "begin":
                self._unwanted = set(self._ports)
            case "open":
                address, number = request["target"]
                self._open(request["key"], (address, number), fds)
            case "shut":
                self._shut(request["key"])
            case "end":
                for key in self._unwanted:
                    self._shut(key)
                self._unwanted = set()
            case "list":
                return {"keys": list(self._ports)}, []
            case "give":
                return {}, [self._ports[request["key"]].fileno()]
            case other:
                raise ValueError(f"unknown order {other}")
        return None

    def _open(self, key: str, target: tuple[str, int], fds: list[int]) -> None:
        self._unwanted.discard(key)
        known = self._ports.get(key)
        if known is not None:
            known.target = target
            for fd in fds:
                os.close(fd)
            return
        sock = socket.socket(fileno=fds[0])
        if sock.type == socket.SOCK_DGRAM:
            self._ports[key] = DatagramPort(self._loop, sock, target)
        else:
            self._ports[key] = StreamPort(self._loop, sock, target, self._pipes)

    def _shut(self, key: str) -> None:
        """Idempotent."""
        port = self._ports.pop(key, None)
        if port is not None:
            port.close()
