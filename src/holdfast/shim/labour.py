# SPDX-License-Identifier: Apache-2.0
"""The child's side of `birth`: takes one order, reads the spec, makes the cgroup, starts one process.

The order for an init is the launch as the daemon wrote it, passed on by the shim before it reads it itself: with its
descriptors (see `spawner`). With the order for an exec comes the init's pidfd. The last three descriptors are the
process's streams, for one without a terminal. What is started is the shim's child. Nothing returns from here to the
shim's code: the child is used up, by lending its memory to the process (`kernel.borrow`) or by its end.
"""

from __future__ import annotations

import os
import signal

from holdfast import errors
from holdfast.kernel import process
from holdfast.runtime import Stdio
from holdfast.runtime.channel import Channel as Gate
from holdfast.shim import protocol, rehearsal, state
from holdfast.shim.birth import describe
from holdfast.shim.channel import Channel
from holdfast.shim.external import External
from holdfast.shim.native import Native

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from holdfast.runtime import Stock
    from holdfast.runtime.cgroups import Hierarchy
    from holdfast.shim.birth import Started
    from holdfast.shim.protocol import Message

NATIVE = "native"
CAUGHT = (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD)
"""The signals for which a shim has handlers; whatever it starts must not have them."""

_CAUGHT_MASK = sum(1 << (number - 1) for number in CAUGHT)


def live(sock: socket.socket, hierarchy: Hierarchy, sample: bytes = b"") -> NoReturn:
    """The child's whole life; an order that never comes ends it too. One with time ahead rehearses on `sample`."""
    channel = Channel(sock)
    try:
        process.reset_signals(_CAUGHT_MASK)
        process.set_parent_death_signal(signal.SIGKILL)
        stock = rehearsal.of_maker(sample, hierarchy) if sample else None
        received = channel.wait()
        if received is not None:
            order, fds = received
            if order["runtime"] != NATIVE and "exec" not in order and channel.wait() is None:
                os._exit(0)  # what a foreign runtime has begun is not so easily taken back
            started = _carry_out(order, fds, Gate(sock), hierarchy, stock)
            fds = [started.pidfd] if started.console_fd is None else [started.pidfd, started.console_fd]
            channel.send({"pid": started.pid}, fds)
    except errors.HoldfastError as error:
        channel.send({"error": describe(error)})
    except BaseException as error:  # noqa: BLE001  (the last frame of a fork: what is above belongs to the parent)
        channel.send({"error": describe(errors.Internal(f"{type(error).__name__}: {error}"))})
    finally:
        os._exit(0)


def choose(order: Message, directory_fd: int) -> Native | External:
    """Who runs the processes of this container."""
    if order["runtime"] == NATIVE:
        return Native(order["seccomp"])
    return External(order["runtime"], order["container_id"], order["directory"], directory_fd)


def _carry_out(order: Message, fds: Sequence[int], gate: Gate, hierarchy: Hierarchy, stock: Stock | None) -> Started:
    """Returns only when the process could not borrow this one's memory."""
    directory_fd = state.open_directory(order["directory"])
    stdio = None if order["tty"] else _stdio(order, fds[-3:])
    spec = state.read(directory_fd, state.CONFIG)
    if spec is None:
        raise errors.Internal(f"{state.CONFIG} is missing")
    runner = choose(order, directory_fd)
    if "exec" in order:
        _prepare(order["exec"], order, stdio)
        cgroup = hierarchy.open(order["cgroup_path"])
        return runner.execute(order["exec"], spec, cgroup, (order["init_pid"], fds[0]), stdio, gate)
    resources = spec.get("linux", {}).get("resources", {})
    cgroup = hierarchy.create(order["cgroup_path"], resources)
    _prepare(spec["process"], order, stdio)
    wait = _wait(fds[1]) if order["waits"] else None
    return runner.start(order, spec, cgroup, stdio, gate, hierarchy, wait, stock)


def _stdio(order: Message, fds: Sequence[int]) -> Stdio:
    stdin, stdout, stderr = fds
    if not order["open_stdin"]:
        stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    return Stdio(stdin, stdout, stderr)


def _wait(fd: int) -> Callable[[], None]:
    """Makes what is to be called where the host has to be ready: it returns when that is so, and raises if never."""

    def wait() -> None:
        if os.read(fd, len(protocol.GO)) != protocol.GO:
            raise errors.Unavailable("what the container needs of the host could not be made")

    return wait


def _prepare(document: Message, order: Message, stdio: Stdio | None) -> None:
    document.setdefault("oomScoreAdj", 0)  # the shim has a score of its own
    uid = document.get("user", {}).get("uid", 0)
    if stdio is None or not uid:
        return
    # the user may open /dev/stdout again, as runc has it; not the null device
    for end in (stdio.stdin, stdio.stdout, stdio.stderr) if order["open_stdin"] else (stdio.stdout, stdio.stderr):
        os.fchown(end, uid, -1)
