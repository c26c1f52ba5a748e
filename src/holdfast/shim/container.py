# SPDX-License-Identifier: Apache-2.0
"""One container from the inside of its shim: starts it, acts on it, and learns how its processes end.

It knows nothing of connections: `server` calls its verbs and is told of ends by `notify`. Single-threaded; a start and
an exec block for their milliseconds.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import time

from holdfast import errors
from holdfast.logs import factory as logs
from holdfast.runtime import cgroups
from holdfast.shim import labour, protocol, state
from holdfast.shim.birth import Maker, Ordered
from holdfast.shim.process import Process
from holdfast.shim.stdio import Pipes
from holdfast.shim.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.kernel.loop import Loop
    from holdfast.logs.driver import Target, Writer
    from holdfast.runtime.cgroups.v1.oom import Watch as V1Watch
    from holdfast.runtime.cgroups.v2.oom import Watch as V2Watch
    from holdfast.shim.protocol import Message


class Container:
    """The container of this shim, whose init was ordered before; `exit` is what `exit.json` says once it has ended."""

    __slots__ = (
        "_directory_fd",
        "_execs",
        "_hierarchy",
        "_is_paused",
        "_launch",
        "_log",
        "_loop",
        "_notify",
        "_oom_watch",
        "_ordered",
        "_runner",
        "_shares_pids",
        "_was_killed",
        "exit",
        "init",
    )

    def __init__(
        self,
        launch: Message,
        directory_fd: int,
        poll: Loop,
        hierarchy: cgroups.Hierarchy,
        notify: Callable[[Message], None],
        ordered: Ordered,
    ) -> None:
        self._launch = launch
        self._directory_fd = directory_fd
        self._loop = poll
        self._hierarchy = hierarchy
        self._notify = notify
        self._runner = labour.choose(launch, directory_fd)
        self._log: Writer | None = None
        self._ordered: Ordered | None = ordered
        self._execs: dict[str, Process] = {}
        self._is_paused = False
        self._was_killed = False
        self._oom_watch: V1Watch | V2Watch | None = None
        self._shares_pids = bool(launch["shares_pids"])
        self.init: Process | None = None
        self.exit: Message | None = None

    def start(self, clients: Sequence[socket.socket]) -> None:
        """Waits until the container runs, with its first clients attached; raises StartError or another HoldfastError.

        When it raises, nothing of the container is left.
        """
        try:
            self._log = _open_log(self._launch["log"])
            if self._ordered is not None and self._launch["runtime"] != labour.NATIVE:
                self._ordered.maker.order({}, [])  # it waits for this word
            self.init = self._receive(None, self._launch, clients, self._taken())
        except BaseException:
            self.abandon()
            raise
        self._launch["rootfs_mounts"] = self._launch["grants"] = None
        if self._launch["has_memory_limit"]:
            self._watch_memory()

    def abandon(self) -> None:
        """Takes back what the maker has begun."""
        if self._ordered is not None:
            self._taken().cancel()
        try:
            self._cgroup.kill()
            self._cgroup.remove()
        except (errors.HoldfastError, OSError):
            return  # there was no cgroup yet

    def _taken(self) -> Ordered:
        ordered, self._ordered = self._ordered, None
        if ordered is None:
            raise errors.Internal("container was not ordered")
        return ordered

    def _watch_memory(self) -> None:
        """A kill for want of memory is told at once, for the container may go on without that process."""
        try:
            watch = self._cgroup.oom_watch()
        except OSError as error:
            state.append_log(self._directory_fd, f"cannot watch for want of memory: {error}\n")
            return
        if watch is not None:
            self._oom_watch = watch
            self._loop.add(watch.fd, select.EPOLLIN, lambda _: self._tell_oom(watch))

    def _tell_oom(self, watch: V1Watch | V2Watch) -> None:
        if watch.happened():
            self._notify({"event": "oom"})

    def _unwatch_memory(self) -> None:
        watch, self._oom_watch = self._oom_watch, None
        if watch is not None:
            self._tell_oom(watch)
            self._loop.remove(watch.fd)
            watch.close()

    def _order_exec(self, request: Message) -> Ordered:
        """Has a maker start an exec."""
        launch, init = self._launch, self._running()
        maker = Maker(self._live)
        ordered = Ordered(maker, None if request["tty"] else Pipes())
        order = {
            "exec": request["process"],
            "init_pid": init.pid,
            "tty": request["tty"],
            "open_stdin": request["open_stdin"],
            "directory": launch["directory"],
            "container_id": launch["container_id"],
            "cgroup_path": launch["cgroup_path"],
            "seccomp": launch["seccomp"],
            "runtime": launch["runtime"],
        }
        ordered.place(order, [init.pidfd])
        return ordered

    def _receive(
        self, exec_id: str | None, request: Message, clients: Sequence[socket.socket], ordered: Ordered
    ) -> Process:
        """The process that was ordered, its streams running and its clients attached."""
        born, pipes = ordered.wait(), ordered.pipes
        if pipes is not None and request["tty"]:  # they were made before anybody knew
            pipes.close()
            pipes = None
        streams = Streams(
            self._loop,
            is_tty=bool(request["tty"]),
            log=self._log if exec_id is None else None,
            on_detached=lambda: self._notify({"event": "detached", "exec_id": exec_id}),
        )
        if pipes is not None:
            if not request["open_stdin"]:
                pipes.close_stdin()
            if pipes.ours_in is not None:
                streams.add_stdin(pipes.ours_in)
            for stream, fd in pipes.ours_out.items():
                streams.add_output(stream, fd)
        elif born.console_fd is not None:
            if request["open_stdin"]:
                streams.add_stdin(os.dup(born.console_fd))
            streams.add_output(protocol.STDOUT, born.console_fd)
        for sock, grant in zip(clients, request["grants"], strict=True):
            streams.attach(sock, grant)
        return Process(exec_id, born.pid, born.pidfd, born.console_fd, streams)

    def attach(self, exec_id: str | None, grant: Message, client: socket.socket) -> None:
        """Adds a client to a running process."""
        process = self._process(exec_id)
        if process.exit_code is not None:
            raise errors.Conflict("process is not running")
        process.streams.attach(client, grant)

    def execute(self, request: Message, clients: Sequence[socket.socket]) -> int:
        """Starts another process, returns its pid; raises StartError, Conflict when the container has ended."""
        exec_id = request["exec_id"]
        if self._is_paused:  # its maker would be frozen in the container's cgroup, and we would wait for it for ever
            raise errors.Conflict("container is paused, unpause the container before exec")
        if exec_id in self._execs:
            raise errors.AlreadyExists(f"exec {exec_id} is already running")
        try:
            process = self._receive(exec_id, request, clients, self._order_exec(request))
        except errors.HoldfastError:
            if self._was_killed or self._running().is_dying:  # that was the reason
                raise errors.Conflict("container is not running") from None
            raise
        self._execs[exec_id] = process
        return process.pid

    def kill(self, number: int, *, is_for_all: bool) -> None:
        """Sends a signal to the init, or to every process of the container."""
        self._running()
        if not is_for_all:
            self._running().kill(number)
        elif number == signal.SIGKILL:
            self._cgroup.kill()
        else:
            for pid in self._cgroup.pids():
                _kill_quietly(pid, number)
        if number == signal.SIGKILL:
            self._was_killed = True
            if self._is_paused:
                self.resume()

    def kill_exec(self, exec_id: str, number: int) -> None:
        """Sends a signal to one exec."""
        self._process(exec_id).kill(number)

    def resize(self, exec_id: str | None, height: int, width: int) -> None:
        """Sets the size of a terminal."""
        self._process(exec_id).resize(height, width)

    def pause(self) -> None:
        """Freezes every process; idempotent. Conflict after SIGKILL, which a frozen process would not die of."""
        self._running()
        if self._was_killed:
            raise errors.Conflict("container is not running")
        self._cgroup.freeze()
        self._is_paused = True

    def resume(self) -> None:
        """Thaws every process; idempotent, and nothing to do for a container whose end has been told."""
        if self.exit is None:
            self._cgroup.thaw()
        self._is_paused = False

    def update(self, resources: Message) -> None:
        """Changes the limits; raises what the cgroup raises."""
        self._running()
        self._cgroup.update(resources)

    def forget_exec(self, exec_id: str) -> None:
        """The daemon knows how it ended."""
        process = self._execs.get(exec_id)
        if process is not None and process.exit_code is not None:
            del self._execs[exec_id]

    def reap(self) -> None:
        """Collects every child that has ended, adopted orphans too."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._on_end(pid, status)

    def _on_end(self, pid: int, status: int) -> None:
        if self.init is not None and pid == self.init.pid:
            self._end_init(self.init, status)
            return
        process = next((each for each in self._execs.values() if each.pid == pid and each.exit_code is None), None)
        if process is not None:
            process.end(status, lambda: self._report_exec(process))

    def _end_init(self, init: Process, status: int) -> None:
        if self._shares_pids:
            self._cgroup.kill()
        init.end(status, self._report_init)

    def _report_exec(self, process: Process) -> None:
        self._notify({"event": "exited", **process.to_message()})

    def _report_init(self) -> None:
        init = self.init
        if init is None:
            return
        if self._log is not None:
            self._log.close(time.time_ns())
        self._unwatch_memory()
        self.exit = {
            "event": "exited",
            "container_id": self._launch["container_id"],
            "oom_killed": self._cgroup.oom_kills() > 0,
            **init.to_message(),
        }
        self._runner.clean_up()
        self._notify(self.exit)
        state.write(self._directory_fd, state.EXIT, self.exit)  # for a daemon that is not there, which can wait
        self._loop.call_later(0, self._remove_cgroup)

    def _remove_cgroup(self) -> None:
        self._cgroup.remove()

    @property
    def has_clients(self) -> bool:
        """Whether somebody has still to take output of an ended process: a client, or the log's collector."""
        if self._log is not None and self._log.is_busy:
            return True
        processes = [*self._execs.values(), *([self.init] if self.init is not None else [])]
        return any(process.streams.has_clients for process in processes)

    def _live(self, sock: socket.socket) -> None:
        labour.live(sock, self._hierarchy)

    def to_message(self) -> Message:
        """What a daemon must know that has just come."""
        if self.init is None:
            raise errors.Internal("container was not started")
        return {
            **self.init.to_message(),
            "container_id": self._launch["container_id"],
            "shim_pid": os.getpid(),
            "paused": self._is_paused,
            "cgroup_path": self._launch["cgroup_path"],
            "execs": [process.to_message() for process in self._execs.values()],
            "exit": self.exit,
        }

    @property
    def _cgroup(self) -> cgroups.Cgroup:
        return self._hierarchy.open(self._launch["cgroup_path"])  # no system call

    def _running(self) -> Process:
        if self.init is None or self.init.exit_code is not None:
            raise errors.Conflict("container is not running")
        return self.init

    def _process(self, exec_id: str | None) -> Process:
        if exec_id is None:
            return self._running()
        process = self._execs.get(exec_id)
        if process is None:
            raise errors.NotFound(f"No such exec instance: {exec_id}")
        return process


def _open_log(target: Target) -> Writer:
    try:
        return logs.open_writer(target)
    except errors.HoldfastError as error:
        raise type(error)(f"failed to initialize logging driver: {error.message}") from None
    except OSError as error:
        raise errors.Internal(f"failed to initialize logging driver: {target['path']}: {error.strerror}") from None


def _kill_quietly(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
