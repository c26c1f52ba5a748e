# SPDX-License-Identifier: Apache-2.0
"""One container from the inside of its shim: starts it, acts on it, and learns how its processes end.

It knows nothing of connections: `server` calls its verbs and is told of ends by `notify`. Single-threaded; a start and
an exec block for their milliseconds.
"""

from __future__ import annotations

import os
import signal
import socket
import time

from holdfast import errors
from holdfast.logs import factory as logs
from holdfast.runtime import cgroups
from holdfast.shim import birth, protocol, state
from holdfast.shim.external import External
from holdfast.shim.native import Native
from holdfast.shim.process import Process
from holdfast.shim.stdio import Pipes
from holdfast.shim.streams import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.logs.driver import Writer
    from holdfast.shim.loop import Loop
    from holdfast.shim.protocol import Message

NATIVE = "native"


class Container:
    """The container of this shim. `start` comes first; `exit` is what `exit.json` says once it has ended."""

    __slots__ = (
        "_directory_fd",
        "_execs",
        "_hierarchy",
        "_is_paused",
        "_launch",
        "_log",
        "_loop",
        "_notify",
        "_runner",
        "_shares_pids",
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
    ) -> None:
        self._launch = launch
        self._directory_fd = directory_fd
        self._loop = poll
        self._hierarchy = hierarchy
        self._notify = notify
        self._runner = self._choose_runner(launch["runtime"])
        self._log: Writer | None = None
        self._execs: dict[str, Process] = {}
        self._is_paused = False
        self._shares_pids = False
        self.init: Process | None = None
        self.exit: Message | None = None

    def _choose_runner(self, program: str) -> Native | External:
        if program == NATIVE:
            return Native(self._launch["seccomp"])
        launch = self._launch
        return External(program, launch["container_id"], launch["directory"], self._directory_fd)

    def start(self, clients: Sequence[socket.socket]) -> None:
        """Starts the container with its first clients attached; raises StartError or another HoldfastError.

        When it raises, nothing of the container is left.
        """
        self._log = _open_log(self._launch["log"])
        self.init = self._bear(None, self._launch, clients, self._start_init)
        self._launch["rootfs_mounts"] = self._launch["grants"] = None

    def _start_init(self, pipes: Pipes | None) -> tuple[birth.Started, Message]:
        """In a child of the shim: reads the spec, makes the cgroup, starts the init."""
        spec = self._read_spec()
        linux = spec.get("linux", {})
        kinds = {each["type"]: each.get("path") for each in linux.get("namespaces", ())}
        cgroup = self._hierarchy.create(self._launch["cgroup_path"], linux.get("resources", {}))
        try:
            _prepare(spec["process"], pipes)
            started = self._runner.start(self._launch, spec, cgroup, pipes)
        except BaseException:
            cgroup.kill()
            cgroup.remove()
            raise
        return started, {"shares_pids": "pid" not in kinds or bool(kinds["pid"])}

    def _read_spec(self) -> Message:
        spec = state.read(self._directory_fd, state.CONFIG)
        if spec is None:
            raise errors.Internal(f"{state.CONFIG} is missing")
        return spec

    def _bear(
        self,
        exec_id: str | None,
        request: Message,
        clients: Sequence[socket.socket],
        start: Callable[[Pipes | None], tuple[birth.Started, Message]],
    ) -> Process:
        """Starts the init or an exec, its streams running and its clients attached."""
        is_tty = bool(request["tty"])
        pipes = None if is_tty else Pipes(open_stdin=request["open_stdin"])
        try:
            born = birth.give(lambda: start(pipes))
        except BaseException:
            if pipes is not None:
                pipes.close()
            raise
        self._shares_pids = born.note.get("shares_pids", self._shares_pids)
        streams = Streams(
            self._loop,
            is_tty=is_tty,
            log=self._log if exec_id is None else None,
            on_detached=lambda: self._notify({"event": "detached", "exec_id": exec_id}),
        )
        if pipes is not None:
            pipes.close_theirs()
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
        if exec_id in self._execs:
            raise errors.AlreadyExists(f"exec {exec_id} is already running")
        init = self._running()

        def start(pipes: Pipes | None) -> tuple[birth.Started, Message]:
            _prepare(request["process"], pipes)
            return self._runner.execute(request["process"], self._read_spec(), self._cgroup, init, pipes), {}

        process = self._bear(exec_id, request, clients, start)
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
        if number == signal.SIGKILL and self._is_paused:
            self.resume()

    def kill_exec(self, exec_id: str, number: int) -> None:
        """Sends a signal to one exec."""
        self._process(exec_id).kill(number)

    def resize(self, exec_id: str | None, height: int, width: int) -> None:
        """Sets the size of a terminal."""
        self._process(exec_id).resize(height, width)

    def pause(self) -> None:
        """Freezes every process; idempotent."""
        self._running()
        self._cgroup.freeze()
        self._is_paused = True

    def resume(self) -> None:
        """Thaws every process; idempotent."""
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
        self.exit = {
            "event": "exited",
            "container_id": self._launch["container_id"],
            "oom_killed": self._cgroup.oom_kills() > 0,
            **init.to_message(),
        }
        self._runner.clean_up()
        state.write(self._directory_fd, state.EXIT, self.exit)
        self._notify(self.exit)
        self._loop.call_later(0, self._remove_cgroup)

    def _remove_cgroup(self) -> None:
        self._cgroup.remove()

    @property
    def has_clients(self) -> bool:
        """Whether somebody has still to take output of an ended process."""
        processes = [*self._execs.values(), *([self.init] if self.init is not None else [])]
        return any(process.streams.has_clients for process in processes)

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


def _prepare(process: Message, pipes: Pipes | None) -> None:
    process.setdefault("oomScoreAdj", 0)  # the shim has a score of its own
    if pipes is not None:
        pipes.give_to(process.get("user", {}).get("uid", 0))


def _open_log(target: Message) -> Writer:
    try:
        return logs.open_writer(target["driver"], target["path"], target["options"], target["attributes"])
    except errors.InvalidArgument as error:
        raise errors.InvalidArgument(f"failed to initialize logging driver: {error.message}") from None
    except OSError as error:
        raise errors.Internal(f"failed to initialize logging driver: {target['path']}: {error.strerror}") from None


def _kill_quietly(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
