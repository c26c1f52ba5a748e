# SPDX-License-Identifier: Apache-2.0
"""The fork server: a small single-threaded process that has everything imported and forks the shims.

`fork_server` starts it by `kernel.spawn` with its end of a seqpacket socket as descriptor 3. A launch is one message:
the request, and the shim's end of a socket of its own plus the clients' sockets as descriptors. It is passed on unread
to a spare shim, forked ahead with its page faults behind it. There is no answer here; the shim speaks for itself, and
its end, or a fork that fails, closes its socket. The spawner ends with the daemon (end of its socket), its spare shims
with it; those that were launched live on.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys

from holdfast import errors
from holdfast.kernel import process
from holdfast.runtime import cgroups, defaults, seccomp
from holdfast.shim import main as shim
from holdfast.shim.channel import Channel

NAME = "hold-spawner"
CONTROL_FD = 3
SPARES = 2
"""Shims that wait for a launch, each with its first `Maker`: 1.5 MB of copied pages, and 3 ms that no start waits for."""

_REFILL_MILLISECONDS = 1


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
    waiting = select.poll()
    waiting.register(daemon.fileno(), select.POLLIN)
    waiting.register(children.fileno(), select.POLLIN)
    gc.collect()
    gc.freeze()
    gc.disable()  # a collection would touch, and so copy, pages in every shim; `main` has the collector run again
    spares: list[Channel] = []
    while True:
        is_short = len(spares) < SPARES
        ready = waiting.poll(_REFILL_MILLISECONDS if is_short else None)
        if not ready and is_short:
            _add(spares, daemon, hierarchy)
        for fd, _ in ready:
            if fd == children.fileno():
                _reap(children)
                continue
            try:
                taken = daemon.take()
            except (BlockingIOError, errors.Corrupt):
                continue
            if taken is None:
                return
            _hand_over(*taken, spares, daemon, hierarchy)


def _hand_over(
    data: bytes, fds: list[int], spares: list[Channel], daemon: Channel, hierarchy: cgroups.Hierarchy
) -> None:
    """Makes a spare shim the shim of a launch; when there is none, or only dead ones, one is born for it."""
    while True:
        if not spares and not _add(spares, daemon, hierarchy):
            break  # whoever asked finds its socket closed
        spare = spares.pop(0)
        try:
            spare.pass_on(data, fds)
        except OSError:
            continue
        finally:
            spare.close()
        break
    for fd in fds:
        os.close(fd)


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


def _add(spares: list[Channel], daemon: Channel, hierarchy: cgroups.Hierarchy) -> bool:
    """Forks a spare shim, which ends when its channel is closed without a word; False when there can be none."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        is_child = os.fork() == 0
    except OSError:
        ours.close()
        theirs.close()
        return False
    if is_child:
        status = 1
        try:
            daemon.close()
            ours.close()
            for spare in spares:
                spare.close()
            os.dup2(0, 2)  # whoever reads the daemon's stderr must not wait for every container
            shim.live(Channel(theirs), hierarchy)
            status = 0
        except BaseException as error:  # noqa: BLE001  (the last frame of a fork: what is above belongs to the parent)
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(status)
    theirs.close()
    spares.append(Channel(ours))
    return True
