# SPDX-License-Identifier: Apache-2.0
"""The daemon's end of a companion: finds it or starts it, speaks to it, notices its end.

Blocking, with a limit; called from the controller's thread. An order costs 0.1 ms, a start 2 ms: what is said before
the new process listens waits in its socket. What a companion must know is the caller's to keep: a fresh one is told all.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from struct import unpack
from typing import Any

from holdfast import errors
from holdfast.kernel import spawn
from holdfast.networks.companions import control

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
_ANSWER_SECONDS = 5.0


class Companion:
    """One kind of companion for one exec root: `module` is its program, `title` what messages call it."""

    __slots__ = ("_child", "_lost", "_module", "_number", "_path", "_sock", "_title", "_took_leave", "_version", "pid")

    def __init__(self, path: Path, module: str, version: int, title: str) -> None:
        self._path = str(path)
        self._module = module
        self._version = version
        self._title = title
        self._sock: socket.socket | None = None
        self._lost: list[socket.socket] = []
        """Ended conversations, open until `bury_lost`: whoever watches one must not find another under its number."""
        self._took_leave = False
        """It has said that it goes: nobody had needed it for a while."""
        self._number = 0
        self._child = 0
        self.pid = 0
        """The process that serves, or did last."""

    @property
    def is_present(self) -> bool:
        """Whether there is somebody to speak to, as far as we know."""
        return self._sock is not None

    def find(self) -> bool:
        """Looks for a living process of our version; one that is not is made to leave."""
        if self._sock is None:
            self._sock = self._greet()
        return self.is_present

    def find_or_start(self) -> None:
        """Raises OSError when it cannot be started."""
        if not self.find():
            self._sock = self._start()

    def ask(self, request: dict[str, Any], fds: Sequence[int] = ()) -> tuple[dict[str, Any], list[int]]:
        """The reply and its descriptors. OSError: it is gone or mute; Internal: it refused."""
        sock = self._present()
        self._number += 1
        control.send(sock, {**request, "id": self._number}, fds)
        while True:
            reply, given = control.receive(sock)
            if reply is None:
                raise ConnectionError("it has hung up")
            self._took_leave |= "leaves" in reply
            if reply.get("re") != self._number:
                continue
            if "error" in reply:
                raise errors.Internal(f"the {self._title} refused: {reply['error']}")
            return reply, given

    def tell(self, order: dict[str, Any], fds: Sequence[int] = ()) -> None:
        """An order that is not answered; OSError: it is gone, or has been mute for long."""
        control.send(self._present(), order, fds)

    def hang_up(self) -> None:
        """Ends the conversation; the process may live on."""
        if self._sock is not None:
            self._lost.append(self._sock)
            self._sock = None
        self._reap()

    def fileno(self) -> int:
        """Readable when the process may have ended; -1 when there is nothing to watch."""
        sock = self._lost[0] if self._lost else self._sock
        return -1 if sock is None else sock.fileno()

    def bury_lost(self) -> bool:
        """Lets go of ended conversations; whether there was one whose companion had not taken its leave."""
        if self._sock is not None and self._has_ended(self._sock):
            self.hang_up()
        for sock in self._lost:
            self._has_ended(sock)
            sock.close()
        was_lost = bool(self._lost) and not self._took_leave
        self._lost.clear()
        self._took_leave = False
        return was_lost

    def _has_ended(self, sock: socket.socket) -> bool:
        """Whether the other end has hung up. What nobody waited for, its hello and its leave, is read on the way."""
        waiting = select.poll()
        waiting.register(sock, select.POLLIN)
        while waiting.poll(0):
            try:
                message, _fds = control.receive(sock)
            except OSError:
                return True
            if message is None:
                return True
            self._took_leave |= "leaves" in message
        return False

    def _present(self) -> socket.socket:
        if self._sock is None:
            raise ConnectionError(f"no {self._title}")
        return self._sock

    def _open(self) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        sock.settimeout(_ANSWER_SECONDS)
        return sock

    def _greet(self) -> socket.socket | None:
        sock = self._open()
        pid = 0
        try:
            sock.connect(self._path)
            pid, uid, _ = unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            hello = control.receive(sock)[0] if uid == os.geteuid() else None
            if hello is not None and hello.get("hello") == self._version:
                self.pid = hello["pid"]
                return sock
        except OSError:
            pass
        sock.close()
        if pid not in (0, os.getpid()):  # our own: a process that died before it listened for itself
            _end(pid)
        return None

    def _start(self) -> socket.socket:
        self._reap()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
        sock = self._open()
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC) as listener:
            old_mask = os.umask(0o177)
            try:
                listener.bind(self._path)
            finally:
                os.umask(old_mask)
            listener.listen(4)
            sock.connect(self._path)
            self._child, pidfd = spawn.spawn(self._module, [listener.fileno()], _ENVIRONMENT)
            os.close(pidfd)
        self.pid = self._child
        return sock

    def _reap(self) -> None:
        if self._child:
            with contextlib.suppress(ChildProcessError):
                if os.waitpid(self._child, os.WNOHANG)[0] == 0:
                    return
            self._child = 0


def _end(pid: int) -> None:
    """Kills a companion that is mute or of another version, and waits until it lets go of its sockets."""
    try:
        pidfd = os.pidfd_open(pid)
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
    except ProcessLookupError:
        return
    time.sleep(0.01)
