# SPDX-License-Identifier: Apache-2.0
"""The resolver process: one per daemon, started by `client`, and it goes on when the daemon dies.

It keeps nothing on disk: what it answers is told by the daemon, whole again by each new one, and its sockets in the
sandboxes are its own. Its listening socket is descriptor 3. Only our own user may speak to it. It imports next to
nothing (4 MB of its own), and holds three descriptors per sandbox.
"""

from __future__ import annotations

import gc
import os
import socket
from struct import unpack

from holdfast.kernel import netns, process
from holdfast.kernel.loop import READ, Loop
from holdfast.networks.dns import control
from holdfast.networks.dns.answers import Answers
from holdfast.networks.dns.listener import Listener
from holdfast.networks.dns.table import Table
from holdfast.networks.dns.upstreams import HostUpstreams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.networks.dns.control import Message
    from holdfast.networks.dns.forward import Route

NAME = "hold-dns"
CONTROL_FD = 3
_RLIMIT_NOFILE = 7
_LOOK_SECONDS = 30.0


def main() -> None:
    """Serves until the daemon says `leave`, or nobody can ever find it again."""
    os.chdir("/")
    os.setsid()
    _forget_input_and_output()
    process.set_name(NAME)
    process.set_dumpable(False)
    _, most = process.get_limit(_RLIMIT_NOFILE)
    process.set_limit(_RLIMIT_NOFILE, most, most)
    server = Server(socket.socket(fileno=CONTROL_FD))
    gc.collect()
    gc.freeze()
    server.poll.run()


def _forget_input_and_output() -> None:
    """The daemon's log (stderr) stays, for what must never happen."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


class Sandbox:
    """What answers in one namespace."""

    __slots__ = ("answers", "listener", "netns_path", "routes")

    def __init__(self, answers: Answers, netns_path: str) -> None:
        self.answers = answers
        self.netns_path = netns_path
        self.routes: list[Route] = []
        self.listener: Listener | None = None


class Server:
    """The daemon's orders, one conversation at a time: a new daemon's ends the old one's."""

    __slots__ = ("_conversation", "_home", "_host", "_listener", "_path", "_sandboxes", "_table", "_unwanted", "poll")

    def __init__(self, listener: socket.socket) -> None:
        self.poll = Loop()
        self._listener = listener
        self._path: str = listener.getsockname()
        self._home = netns.open_current()
        self._host = HostUpstreams()
        self._table = Table()
        self._sandboxes: dict[str, Sandbox] = {}
        self._unwanted: set[str] = set()
        self._conversation: socket.socket | None = None
        listener.listen(4)  # again: now it is this process that clients see at the other end (SO_PEERCRED)
        listener.setblocking(False)
        self.poll.add(listener.fileno(), READ, self._accept)
        self.poll.call_later(_LOOK_SECONDS, self._look)

    def _accept(self, _: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        _, uid, _ = unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        if uid != os.geteuid():
            sock.close()
            return
        self._hang_up()
        sock.setblocking(False)
        self._conversation = sock
        self.poll.add(sock.fileno(), READ, lambda _: self._hear(sock))
        self._say({"hello": control.VERSION, "pid": os.getpid()})

    def _hear(self, sock: socket.socket) -> None:
        try:
            request = control.receive(sock)
        except BlockingIOError:
            return
        if request is None:
            self._hang_up()
            if not self._sandboxes:
                self.poll.stop()
            return
        try:
            self._act(request)
        except (OSError, KeyError, TypeError, ValueError) as error:
            self._say({"re": request.get("id"), "error": f"{type(error).__name__}: {error}"})
        else:
            self._say({"re": request.get("id")})

    def _act(self, request: Message) -> None:
        match request["do"]:
            case "begin":
                self._unwanted = set(self._sandboxes)
            case "publish":
                self._publish(request["names"])
            case "withdraw":
                self._withdraw(request["sandbox_id"])
            case "end":
                for sandbox_id in self._unwanted:
                    self._withdraw(sandbox_id)
                self._unwanted = set()
            case "leave":
                self.poll.stop()
            case other:
                raise ValueError(f"unknown order {other}")

    def _publish(self, names: Message) -> None:
        sandbox_id: str = names["sandbox_id"]
        self._unwanted.discard(sandbox_id)
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None or sandbox.netns_path != names["netns_path"]:
            self._withdraw(sandbox_id)
            sandbox = Sandbox(Answers(self._table, sandbox_id), names["netns_path"])
        can_forward: bool = names["can_forward"]
        routes = [(upstream["address"], upstream["in_host"]) for upstream in names["upstreams"]]
        # from its own namespace a container of an internal network asks nobody whom it could not ask itself
        sandbox.routes = [route for route in routes if can_forward or not route[1]]
        sandbox.answers.can_forward = can_forward or bool(sandbox.routes)
        sandbox.answers.keeps_single_labels = names["keeps_single_labels"]
        if sandbox.listener is None:
            sandbox.listener = self._listen(sandbox)
        self._sandboxes[sandbox_id] = sandbox
        self._table.put(names)

    def _listen(self, sandbox: Sandbox) -> Listener:
        fd = os.open(sandbox.netns_path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return Listener(self.poll, sandbox.answers, fd, self._home, lambda: sandbox.routes or self._host.routes())
        except OSError:
            os.close(fd)
            raise

    def _withdraw(self, sandbox_id: str) -> None:
        self._table.remove(sandbox_id)
        sandbox = self._sandboxes.pop(sandbox_id, None)
        if sandbox is not None and sandbox.listener is not None:
            sandbox.listener.close()

    def _say(self, message: Message) -> None:
        if self._conversation is None:
            return
        try:
            control.send(self._conversation, message)
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._conversation is not None:
            self.poll.remove(self._conversation.fileno())
            self._conversation.close()
            self._conversation = None

    def _look(self) -> None:
        """Without a daemon, and without its socket's name, nobody can find this process any more."""
        if self._conversation is None and not (self._sandboxes and os.path.exists(self._path)):
            self.poll.stop()
        else:
            self.poll.call_later(_LOOK_SECONDS, self._look)
