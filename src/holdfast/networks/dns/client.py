# SPDX-License-Identifier: Apache-2.0
"""The daemon's end of the resolver process: finds it or starts it, tells it what to answer, replaces it when it dies.

Everything that was published is kept here, so that a fresh process is told all of it at once. Blocking; called from the
controller's thread. A publish costs one exchange with the process (0.2 ms, most of it the sandbox's sockets); the first
one of a host without a resolver its start (30 ms). See `networks.names.Resolver` for the methods.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from struct import unpack
from typing import Any

from holdfast import errors
from holdfast.kernel import spawn
from holdfast.networks.dns import control
from holdfast.networks.names import SandboxNames

_MODULE = "holdfast.networks.dns.main"
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_ANSWER_SECONDS = 5.0


class Client:
    """One resolver for one exec root; `directory` is one of ours."""

    __slots__ = ("_child", "_directory", "_lost", "_number", "_published", "_sock", "pid")

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._published: dict[str, SandboxNames] = {}
        self._sock: socket.socket | None = None
        self._lost: list[socket.socket] = []
        """Ended conversations, open until `repair`: whoever watches one must not find another under its number."""
        self._number = 0
        self._child = 0
        self.pid = 0
        """The process that answers, or did last."""

    def start(self, published: Sequence[SandboxNames]) -> None:
        self._published = {names.sandbox_id: names for names in published}
        self._sock = self._find()
        if self._sock is not None or self._published:
            self._tell_all()

    def publish(self, names: SandboxNames) -> None:
        self._published[names.sandbox_id] = names
        request = {"do": "publish", "names": asdict(names)}
        if self._sock is not None:
            try:
                self._ask(request)
            except OSError:
                self._hang_up()
        if self._sock is None:
            self._tell_all(must=names.sandbox_id)

    def withdraw(self, sandbox_id: str) -> None:
        if self._published.pop(sandbox_id, None) is None or self._sock is None:
            return
        try:
            self._ask({"do": "withdraw", "sandbox_id": sandbox_id})
        except OSError:  # a dead resolver answers nobody; its successor will not know the sandbox
            self._hang_up()

    def close(self) -> None:
        self._hang_up()
        self._close_lost()

    def fileno(self) -> int:
        sock = self._lost[0] if self._lost else self._sock
        return -1 if sock is None else sock.fileno()

    def repair(self) -> str:
        was_lost = bool(self._lost)
        self._close_lost()
        if self._sock is not None and _has_ended(self._sock):
            was_lost = True
            self._hang_up()
            self._close_lost()
        if not self._published:
            return ""
        if self._sock is None:
            self._tell_all()
        return "the DNS resolver had died and was started again" if was_lost else ""

    def _tell_all(self, must: str = "") -> None:
        """Gives a process, found or started, everything; raises Internal when `must` cannot be answered for."""
        try:
            if self._sock is None:
                self._sock = self._find() or self._start()
            self._ask({"do": "begin"})
            for names in tuple(self._published.values()):
                try:
                    self._ask({"do": "publish", "names": asdict(names)})
                except errors.Internal:
                    if names.sandbox_id == must:
                        raise
            self._ask({"do": "end"})
        except OSError as error:
            self._hang_up()
            raise errors.Internal(f"the DNS resolver does not answer: {error}") from error

    def _ask(self, request: dict[str, Any]) -> None:
        """Raises OSError when the process is gone or mute, Internal for what it refuses."""
        sock = self._sock
        if sock is None:
            raise ConnectionError("no resolver")
        self._number += 1
        control.send(sock, {**request, "id": self._number})
        while True:
            reply = control.receive(sock)
            if reply is None:
                raise ConnectionError("the resolver has hung up")
            if reply.get("re") != self._number:
                continue
            if "error" in reply:
                raise errors.Internal(f"the DNS resolver refused: {reply['error']}")
            return

    def _find(self) -> socket.socket | None:
        """A living process of our version; one that is not is made to leave."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        sock.settimeout(_ANSWER_SECONDS)
        pid = 0
        try:
            sock.connect(self._address())
            pid, uid, _ = unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            hello = control.receive(sock) if uid == os.geteuid() else None
            if hello is not None and hello.get("hello") == control.VERSION:
                self.pid = hello["pid"]
                return sock
        except OSError:
            pass
        sock.close()
        if pid not in (0, os.getpid()):  # our own: a process that died before it listened for itself
            _end(pid)
        return None

    def _start(self) -> socket.socket:
        self._bury()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._address())
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as listener:
            old_mask = os.umask(0o177)
            try:
                listener.bind(self._address())
            finally:
                os.umask(old_mask)
            listener.listen(4)
            self._child, pidfd = spawn.spawn(_MODULE, [listener.fileno()], _ENVIRONMENT)
            os.close(pidfd)
        sock = self._find()
        if sock is None:
            self._bury()
            raise ConnectionError("it did not start")
        return sock

    def _address(self) -> str:
        return str(self._directory / control.SOCKET_NAME)

    def _hang_up(self) -> None:
        if self._sock is not None:
            self._lost.append(self._sock)
            self._sock = None
        self._bury()

    def _close_lost(self) -> None:
        for sock in self._lost:
            sock.close()
        self._lost.clear()

    def _bury(self) -> None:
        if self._child:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self._child, os.WNOHANG)[0] == 0:
                    return
            self._child = 0


def _has_ended(sock: socket.socket) -> bool:
    """Whether the other end has hung up; it never speaks unasked."""
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    if not waiting.poll(0):
        return False
    try:
        return not sock.recv(1, socket.MSG_PEEK)
    except OSError:
        return True


def _end(pid: int) -> None:
    """Kills a resolver that is mute or of another version, and waits until it lets go of its sockets."""
    try:
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
    except ProcessLookupError:
        return
    time.sleep(0.01)
