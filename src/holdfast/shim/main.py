# SPDX-License-Identifier: Apache-2.0
"""The per-container process, from fork to farewell: becomes a shim, starts the container, serves until it may leave.

`spawner` calls `live` in the child it has just forked; nothing is executed, so a shim costs a few hundred kilobytes.
It needs nothing of the daemon once the launch message is read. Sources: prctl(2) §PR_SET_CHILD_SUBREAPER,
proc(5) §oom_score_adj.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys

from holdfast import errors
from holdfast.kernel import loop, process
from holdfast.shim import labour, rehearsal, state
from holdfast.shim.birth import Maker, Ordered, describe
from holdfast.shim.channel import Channel, read
from holdfast.shim.container import Container
from holdfast.shim.server import Server
from holdfast.shim.stdio import Pipes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from holdfast.runtime.cgroups import Hierarchy
    from holdfast.shim.protocol import Message

NAME = "hold-shim"
SPARE_NAME = "hold-spare"
_LEAST_URGENT = 19
BIRTHS_FD = 4
"""The share of the births' lock that comes with the fork (see `births`)."""


def live(orders: Channel, hierarchy: Hierarchy, sample: bytes) -> None:
    """A spare shim's life: makes itself and its first `Maker` ready, waits for a launch, and becomes a shim by it.

    Returns when there is nothing left to watch, or when the spawner has ended and no launch can come.
    """
    os.setsid()
    _write_own("comm", SPARE_NAME.encode())
    process.set_child_subreaper()
    maker = Maker(lambda sock: labour.live(sock, hierarchy, sample))
    ordered = Ordered(maker, Pipes())
    if sample:
        rehearsal.of_shim()
    taken = orders.take(waits=True)
    if taken is None:
        return
    ordered.place(
        *taken
    )  # at once, for the maker has milliseconds to go; the shim reads it and makes itself ready then
    orders.close()
    launch, fds = read(*taken)
    _run(launch, Channel(socket.socket(fileno=fds[0])), fds[1:], hierarchy, ordered)


def _run(launch: Message, channel: Channel, fds: list[int], hierarchy: Hierarchy, ordered: Ordered) -> None:
    """Lives the shim's life; `fds` are what the maker waits for, if it has to, and the first clients' sockets."""
    directory_fd = state.open_directory(launch["directory"])
    sys.excepthook = _logging_to(directory_fd)
    poll = loop.Loop()
    server = Server(directory_fd, poll)
    container = Container(launch, directory_fd, poll, hierarchy, server.notify, ordered)
    if launch["waits"]:
        os.close(fds.pop(0))  # the maker has its own
    clients = [socket.socket(fileno=fd) for fd in fds]
    try:
        children = _become_known(server, container)
        container.start(clients)
    except (errors.HoldfastError, OSError) as error:
        refusal = error if isinstance(error, errors.HoldfastError) else errors.Internal(f"start: {error}")
        signal.set_wakeup_fd(-1)
        channel.send({"event": "failed", "error": describe(refusal)})
        return
    poll.add(children.fileno(), loop.READ, lambda _: _reap(children, container))
    server.container = container
    server.adopt(channel)
    server.notify({"event": "started", **container.to_message()})
    _reap(children, container)  # a very short life may have ended before anybody listened
    gc.enable()
    poll.run()
    signal.set_wakeup_fd(-1)  # a SIGCHLD after its socket is closed raises SIGPIPE, which raises itself
    if server.removes:
        state.remove(server.removes)
    os.nice(_LEAST_URGENT)  # what is left is the kernel's: a millisecond of giving pages back


def _become_known(server: Server, container: Container) -> socket.socket:
    """What a shim needs for a life of its own, made while the maker is at work; returns what its children wake."""
    try:
        children = watch_children()
        server.listen()
    except BaseException:
        container.abandon()
        raise
    _write_own("comm", NAME.encode())
    os.close(BIRTHS_FD)
    return children


def prepare() -> None:
    """What the spawner can do once for all its shims: every line run in a shim copies pages into it."""
    _write_own("oom_score_adj", b"1")
    process.set_dumpable(False)
    for number in labour.CAUGHT:  # not ignored: execve hands ignored signals on to the container, caught ones not
        signal.signal(number, _drop)


def _write_own(name: str, value: bytes) -> None:
    fd = os.open(f"/proc/self/{name}", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, value)
    os.close(fd)


def watch_children() -> socket.socket:
    """Makes every SIGCHLD readable on the socket that is returned."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.setblocking(False)
    inherited = signal.set_wakeup_fd(theirs.detach(), warn_on_full_buffer=False)
    if inherited >= 0:
        os.close(inherited)
    return ours


def _drop(number: int, frame: object) -> None:
    """The signal's byte in the wake-up socket is all that is wanted."""


def _reap(children: socket.socket, container: Container) -> None:
    try:
        children.recv(4096)
    except BlockingIOError:
        pass
    container.reap()


def _logging_to(
    directory_fd: int,
) -> Callable[[type[BaseException], BaseException, TracebackType | None], None]:
    def write(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        import traceback  # only when something is wrong: it costs memory

        try:
            state.append_log(directory_fd, "".join(traceback.format_exception(kind, error, trace)))
        except OSError:  # a removed directory or a full disk: what is left to do matters more than the note of it
            return

    return write
