# SPDX-License-Identifier: Apache-2.0
"""A companion's own side: becoming one, and hearing the daemon's orders, one conversation at a time.

A new daemon's conversation ends the old one's. Only our own user may speak. What the orders mean is the companion's
(`act`); a companion that nobody can find any more, or that nobody has needed for a while, leaves: should the daemon
have called it just then, it sees the end of their conversation and starts another. Imports next to nothing.
"""

from __future__ import annotations

import gc
import os
import socket
from struct import unpack

from holdfast.kernel import process
from holdfast.kernel.loop import READ, Loop
from holdfast.networks.companions import control

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.networks.companions.control import Message

    Act = Callable[[Message, list[int]], "tuple[Message, list[int]] | None"]
    """Carries an order out; what it returns goes with the reply. The descriptors are its own to close."""

CONTROL_FD = 3
_RLIMIT_NOFILE = 7
_LOOK_SECONDS = 30.0
_FAULTS = (OSError, LookupError, TypeError, ValueError)


def become(name: str) -> socket.socket:
    """Makes this process a companion; returns the socket on which daemons will knock."""
    os.chdir("/")
    os.setsid()
    _forget_input_and_output()
    process.set_name(name)
    process.set_dumpable(False)
    _, most = process.get_limit(_RLIMIT_NOFILE)
    process.set_limit(_RLIMIT_NOFILE, most, most)
    return socket.socket(fileno=CONTROL_FD)


def serve(loop: Loop) -> None:
    """Runs; what exists by now stays for good, and need not be looked at by the garbage collector."""
    gc.collect()
    gc.freeze()
    loop.run()


def _forget_input_and_output() -> None:
    """The daemon's log (stderr) stays, for what must never happen."""
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)


class Server:
    """Hears orders; `is_needed` says whether anybody would miss this process."""

    __slots__ = ("_act", "_conversation", "_is_needed", "_listener", "_loop", "_path", "_version")

    def __init__(
        self, loop: Loop, listener: socket.socket, version: int, act: Act, is_needed: Callable[[], bool]
    ) -> None:
        self._loop = loop
        self._listener = listener
        self._version = version
        self._act = act
        self._is_needed = is_needed
        self._path: str = listener.getsockname()
        self._conversation: socket.socket | None = None
        listener.listen(4)  # again: now it is this process that clients see at the other end (SO_PEERCRED)
        listener.setblocking(False)
        loop.add(listener.fileno(), READ, self._accept)
        loop.call_later(_LOOK_SECONDS, self._look)

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
        self._loop.add(sock.fileno(), READ, lambda _: self._hear(sock))
        self._say({"hello": self._version, "pid": os.getpid()})

    def _hear(self, sock: socket.socket) -> None:
        try:
            request, fds = control.receive(sock)
        except BlockingIOError:
            return
        if request is None:
            self._hang_up()
            if not self._is_needed():
                self._loop.stop()
            return
        reply: Message = {"re": request.get("id")}
        given: list[int] = []
        try:
            if request["do"] == "leave":
                self._loop.stop()
            else:
                more, given = self._act(request, fds) or ({}, [])
                reply |= more
        except _FAULTS as error:
            reply["error"] = f"{type(error).__name__}: {error}"
        if "id" in request:
            self._say(reply, given)

    def _say(self, message: Message, fds: list[int] | None = None) -> None:
        if self._conversation is None:
            return
        try:
            control.send(self._conversation, message, fds or ())
        except OSError:
            self._hang_up()

    def _hang_up(self) -> None:
        if self._conversation is not None:
            self._loop.remove(self._conversation.fileno())
            self._conversation.close()
            self._conversation = None

    def _look(self) -> None:
        """Leaves when it is of no use; without a daemon, and without its socket's name, nobody can find it any more."""
        if not self._is_needed() or (self._conversation is None and not os.path.exists(self._path)):
            self._say({"leaves": True})
            self._loop.stop()
        else:
            self._loop.call_later(_LOOK_SECONDS, self._look)
