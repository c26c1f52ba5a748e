# SPDX-License-Identifier: Apache-2.0
"""The fork server: a small single-threaded process that has everything imported and forks one shim per launch.

`fork_server` starts it by `kernel.spawn` with its end of a seqpacket socket as descriptor 3. A launch is one message:
the request, and the shim's end of a socket of its own plus the clients' sockets as descriptors. There is no answer here; the
shim speaks for itself, and a fork that fails closes its socket. The spawner ends with the daemon (end of its socket);
shims do not.
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

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.shim.protocol import Message

NAME = "hold-spawner"
CONTROL_FD = 3


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
    while True:
        for fd, _ in waiting.poll():
            if fd == children.fileno():
                _reap(children)
                continue
            try:
                received = daemon.receive()
            except (BlockingIOError, errors.Corrupt):
                continue
            if received is None:
                return
            _bear((daemon, children), *received, hierarchy)


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


def _bear(own: tuple[Channel, socket.socket], launch: Message, fds: list[int], hierarchy: cgroups.Hierarchy) -> None:
    """Forks a shim, which closes what is our `own`; returns in the parent only."""
    try:
        is_child = os.fork() == 0
    except OSError:
        is_child = False
    if is_child:
        status = 1
        try:
            for each in own:
                each.close()
            os.dup2(0, 2)  # whoever reads the daemon's stderr must not wait for every container
            shim.run(launch, Channel(socket.socket(fileno=fds[0])), fds[1:], hierarchy)
            status = 0
        except BaseException as error:  # noqa: BLE001  (the last frame of a fork: what is above belongs to the parent)
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(status)
    for fd in fds:
        os.close(fd)
