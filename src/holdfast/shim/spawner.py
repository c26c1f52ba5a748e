# SPDX-License-Identifier: Apache-2.0
"""The fork server: a small single-threaded process that has everything imported and forks the shims.

`fork_server` starts it by `kernel.spawn` with its end of a seqpacket socket as descriptor 3 and the lock of `births` as 4.
A launch is one message: the request, and as descriptors the shim's end of a socket of its own, where the request `waits`
the pipe that tells when the host is ready (`meanwhile`), and the clients' sockets. It is passed on unread to a spare
shim, forked ahead with its page faults behind it. There is no answer here; the shim speaks for itself, and its end, or a
fork that fails, closes its socket. The spawner ends with the daemon (end of its socket), its spare shims with it; those
that were launched live on.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket

from holdfast import errors
from holdfast.kernel import process
from holdfast.runtime import cgroups, defaults, seccomp
from holdfast.shim import main as shim
from holdfast.shim.channel import Channel
from holdfast.shim.spares import Spares

NAME = "hold-spawner"
CONTROL_FD = 3
_REFILL_MILLISECONDS = 20
"""So much quiet before a spare is forked: on two processors it would compete with the start that took the last one."""


def main() -> None:
    """Serves launches until the daemon is gone."""
    os.chdir("/")
    os.umask(0o022)
    _forget_terminal()
    process.set_name(NAME)
    shim.prepare()
    children = shim.watch_children()
    seccomp.compile_default(frozenset(defaults.CAPABILITIES))
    hierarchy = cgroups.detect()
    daemon = Channel(socket.socket(fileno=CONTROL_FD))
    spares = Spares(daemon, hierarchy)
    waiting = select.poll()
    waiting.register(daemon.fileno(), select.POLLIN)
    waiting.register(children.fileno(), select.POLLIN)
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection would touch, and so copy, pages in every shim; `main` has the collector run again
    while True:
        is_short = spares.is_short
        ready = waiting.poll(_REFILL_MILLISECONDS if is_short else None)
        if not ready and is_short:
            spares.add()
        for fd, _ in ready:
            if fd == children.fileno():
                _reap(children)
                continue
            try:
                taken = daemon.take()
            except (BlockingIOError, errors.Corrupt):
                continue
            if taken is None:
                signal.set_wakeup_fd(-1)  # a SIGCHLD after its socket is closed raises SIGPIPE, which raises itself
                return
            spares.hand_over(*taken)


def _reap(children: socket.socket) -> None:
    """Buries shims that have left; nobody asks how."""
    children.recv(4096)
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _forget_terminal() -> None:
    os.setsid()
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
