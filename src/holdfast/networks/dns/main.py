# SPDX-License-Identifier: Apache-2.0
"""The resolver process: one per daemon, a companion; started by `client`, and it goes on when the daemon dies.

Orders beside `begin` and `end`: `publish` (`names`: a `networks.names.SandboxNames`; a descriptor of its network
namespace) and `withdraw` (`sandbox_id`). It
keeps nothing on disk: what it answers is told by the daemon, whole again by each new one, and its sockets in the
sandboxes are its own. It imports next to nothing (4 MB of its own), and holds three descriptors per sandbox.
"""

from __future__ import annotations

import os

from holdfast.kernel import netns
from holdfast.kernel.loop import Loop
from holdfast.networks.companions import server
from holdfast.networks.dns import protocol
from holdfast.networks.dns.answers import Answers
from holdfast.networks.dns.listener import ADDRESS, Listener
from holdfast.networks.dns.table import Table
from holdfast.networks.dns.upstreams import HostUpstreams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.companions.control import Message
    from holdfast.networks.dns.forward import Route

NAME = "hold-dns"


def main() -> None:
    """Serves until the daemon says `leave`, or nobody can ever find it again."""
    listener = server.become(NAME)
    loop = Loop()
    names = Names(loop)
    server.Server(loop, listener, protocol.VERSION, names.act, lambda: names.has_sandboxes)
    server.serve(loop)


_OURSELVES = (ADDRESS, False)
"""Asked from the sandbox, whose listener has this address: the question would come back to us."""


class Sandbox:
    """What answers in one namespace; `routes` are its container's own servers, None where the host's are asked."""

    __slots__ = ("answers", "listener", "netns_path", "routes")

    def __init__(self, answers: Answers, netns_path: str) -> None:
        self.answers = answers
        self.netns_path = netns_path
        self.routes: list[Route] | None = None
        self.listener: Listener | None = None


class Names:
    """What the daemon has told: who answers where, and what."""

    __slots__ = ("_home", "_host", "_loop", "_sandboxes", "_table", "_unwanted")

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._home = netns.open_current()
        self._host = HostUpstreams()
        self._table = Table()
        self._sandboxes: dict[str, Sandbox] = {}
        self._unwanted: set[str] = set()

    @property
    def has_sandboxes(self) -> bool:
        return bool(self._sandboxes)

    def act(self, request: Message, fds: list[int]) -> None:
        """Carries one order out; what it does not keep of the descriptors is closed."""
        try:
            self._act(request, fds)
        finally:
            for fd in fds:
                os.close(fd)

    def _act(self, request: Message, fds: list[int]) -> None:
        match request["do"]:
            case "begin":
                self._unwanted = set(self._sandboxes)
            case "publish":
                self._publish(request["names"], fds)
            case "withdraw":
                self._withdraw(request["sandbox_id"])
            case "end":
                for sandbox_id in self._unwanted:
                    self._withdraw(sandbox_id)
                self._unwanted = set()
            case other:
                raise ValueError(f"unknown order {other}")

    def _publish(self, names: Message, fds: list[int]) -> None:
        sandbox_id: str = names["sandbox_id"]
        self._unwanted.discard(sandbox_id)
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.netns_path != names["netns_path"]:
            self._withdraw(sandbox_id)
            sandbox = Sandbox(Answers(self._table, sandbox_id), names["netns_path"])
        can_forward: bool = names["can_forward"]
        given = [(upstream["address"], upstream["in_host"]) for upstream in names["upstreams"]]
        # from its own namespace a container of an internal network asks nobody whom it could not ask itself
        routes = [route for route in given if route != _OURSELVES and (can_forward or not route[1])]
        sandbox.routes = routes if given else None
        sandbox.answers.can_forward = can_forward or bool(routes)
        sandbox.answers.keeps_single_labels = names["keeps_single_labels"]
        if sandbox.listener is None:
            sandbox.listener = Listener(self._loop, sandbox.answers, fds[0], self._home, lambda: self._routes(sandbox))
            fds.clear()
        self._sandboxes[sandbox_id] = sandbox
        self._table.put(names)

    def _routes(self, sandbox: Sandbox) -> list[Route]:
        return self._host.routes() if sandbox.routes is None else sandbox.routes

    def _withdraw(self, sandbox_id: str) -> None:
        self._table.remove(sandbox_id)
        sandbox = self._sandboxes.pop(sandbox_id, None)
        if sandbox is not None and sandbox.listener is not None:
            sandbox.listener.close()
