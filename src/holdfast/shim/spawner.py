# SPDX-License-Identifier: Apache-2.0
"""The fork server: a small single-threaded process that has everything imported and forks one shim per launch.

`client` starts it as `python -I -S -c "..." SOURCE_DIRECTORY` with its end of a seqpacket socket as descriptor 3. A
launch is one message: the request, and the shim's end of a socket of its own plus the clients' sockets as descriptors.
There is no answer here; the shim speaks for itself, and a fork that fails closes its socket. The spawner ends with the
daemon (end of its socket); shims do not.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import socket
import sys

from holdfast import errors
from holdfast.kernel import process
from holdfast.runtime import defaults, seccomp
from holdfast.shim import main as shim
from holdfast.shim.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from holdfast.shim.protocol import Message

NAME = "hold-spawner"
CONTROL_FD = 3

_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


def main() -> None:
    """Serves launches until the daemon is gone."""
    os.chdir("/")
    os.umask(0o022)
    process.close_from(CONTROL_FD + 1)
    os.set_inheritable(CONTROL_FD, False)
    process.set_name(NAME)
    process.set_dumpable(False)
    for number in _IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # shims that leave are reaped by the kernel
    seccomp.compile_default(frozenset(defaults.CAPABILITIES))
    gc.collect()
    gc.freeze()
    daemon = Channel(socket.socket(fileno=CONTROL_FD))
    waiting = select.poll()
    waiting.register(daemon.fileno(), select.POLLIN)
    while True:
        waiting.poll()
        try:
            received = daemon.receive()
        except BlockingIOError:
            continue
        except errors.Corrupt:
            continue
        if received is None:
            return
        _bear(daemon, *received)


def _bear(daemon: Channel, launch: Message, fds: list[int]) -> None:
    """Forks a shim; returns in the parent only."""
    try:
        is_child = os.fork() == 0
    except OSError:
        is_child = False
    if is_child:
        status = 1
        try:
            daemon.close()
            null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
            os.dup2(null, 2)
            os.close(null)
            shim.run(launch, Channel(socket.socket(fileno=fds[0])), fds[1:])
            status = 0
        except BaseException as error:  # noqa: BLE001  (the last frame of a fork: what is above belongs to the parent)
            sys.excepthook(type(error), error, error.__traceback__)
        finally:
            os._exit(status)
    for fd in fds:
        os.close(fd)
