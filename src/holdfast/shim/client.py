# SPDX-License-Identifier: Apache-2.0
"""The daemon's way to talk to shims: start one (`Spawner`), find one again (`adopt`), act on one (`Shim`).

Asynchronous, one loop. A shim outlives the daemon; `close` of a `Shim` whose container runs only disconnects.
Called by `containers.supervisor` and `engine`; everything they need is exported here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

from holdfast import errors
from holdfast.shim import birth, state
from holdfast.shim.births import Births
from holdfast.shim.channel import Channel
from holdfast.shim.connection import Connection
from holdfast.shim.fork_server import ForkServer
from holdfast.shim.meanwhile import Meanwhile
from holdfast.shim.values import Detached, Event, Exited, Launch, LogTarget, OutOfMemory, ShimLost, StreamGrant

__all__ = [
    "Detached",
    "Event",
    "Exited",
    "Launch",
    "LogTarget",
    "OutOfMemory",
    "Shim",
    "ShimLost",
    "Spawner",
    "StreamGrant",
    "adopt",
    "read_exit",
]

_HELLO_SECONDS = 5.0


class Shim:
    """A connection to the shim of one container, which runs or has just ended."""

    def __init__(self, container_id: str, directory: str, connection: Connection, first: Mapping[str, Any]) -> None:
        self.container_id = container_id
        self.pid: int = first["pid"]
        self.shim_pid: int = first["shim_pid"]
        self.started_at_nanos: int = first["started_at"]
        self.tty: bool = first["tty"]
        self.is_paused: bool = first["paused"]
        self.execs: list[dict[str, Any]] = first["execs"]
        """The execs that ran, or had ended unheard, when this connection began."""
        self._directory = directory
        self._connection = connection
        self._has_ended = self._is_dismissed = False
        self._ended_before: list[Mapping[str, Any]] = [each for each in self.execs if each["exit_code"] is not None]
        if first["exit"] is not None:
            self._ended_before.append(first["exit"])

    async def attach(self, grant: StreamGrant, exec_id: str | None = None) -> None:
        """Gives a client the streams of the init, or of an exec; Conflict when that has ended."""
        await self._ask_with_grants([grant], do="attach", exec_id=exec_id)

    async def exec(
        self,
        exec_id: str,
        process: Mapping[str, Any],
        *,
        tty: bool = False,
        open_stdin: bool = False,
        grants: Sequence[StreamGrant] = (),
    ) -> int:
        """Starts another process (an OCI process object), returns its pid; StartError, Conflict when it has ended."""
        reply = await self._ask_with_grants(
            grants, do="exec", exec_id=exec_id, process=dict(process), tty=tty, open_stdin=open_stdin
        )
        return reply["pid"]

    async def kill(self, number: int, *, all: bool = False) -> None:  # noqa: A002  (the contract's word)
        """Sends a signal to the init or to all processes; Conflict when the container has ended."""
        await self._ask({"do": "kill", "signal": int(number), "all": all})

    async def kill_exec(self, exec_id: str, number: int) -> None:
        """Sends a signal to an exec; NotFound, Conflict when it has ended."""
        await self._ask({"do": "kill_exec", "exec_id": exec_id, "signal": int(number)})

    async def resize(self, height: int, width: int, exec_id: str | None = None) -> None:
        """Sets the size of a terminal; Conflict when there is none."""
        await self._ask({"do": "resize", "exec_id": exec_id, "height": height, "width": width})

    async def pause(self) -> None:
        """Freezes the container; idempotent."""
        await self._ask({"do": "pause"})
        self.is_paused = True

    async def resume(self) -> None:
        """Thaws the container; idempotent."""
        await self._ask({"do": "resume"})
        self.is_paused = False

    async def update(self, resources: Mapping[str, Any]) -> None:
        """Changes the limits (an OCI linux.resources object)."""
        await self._ask({"do": "update", "resources": dict(resources)})

    async def events(self) -> AsyncIterator[Event]:
        """Yields what happens until the container's own Exited, or ShimLost, whichever is the last event.

        What ended while no daemon was connected comes first. There is one reader.
        """
        for message in self._ended_before:
            yield self._exited(message)
        while not self._has_ended:
            message = await self._connection.next_event()
            if message is None:
                self._has_ended = True
                ended = read_exit(self._directory)
                yield ended or ShimLost(container_id=self.container_id)
            elif message["event"] == "exited":
                yield self._exited(message)
            elif message["event"] == "oom":
                yield OutOfMemory(container_id=self.container_id)
            elif message["event"] == "detached":
                yield Detached(container_id=self.container_id, exec_id=message["exec_id"])

    def has_news(self) -> bool:
        """Takes in what the shim has said by now; tells whether `events` has yet to yield some of it. One system call."""
        self._connection.take_in()
        return self._connection.has_news

    async def close(self) -> None:
        """Disconnects. After the container's Exited has been read: dismisses the shim and removes its directory.

        So it comes after the exit is on record. Idempotent. The directory loses its name here and its files by the
        shim, which has the time: three unlinks in a journal of ext4 kept the loop for 2 ms under load.
        """
        if self._has_ended:
            self._is_dismissed = True
            aside = f"{self._directory}.ended"
            try:
                os.rename(self._directory, aside)
            except OSError:  # it is gone, or the last shim of this container is still clearing up
                aside = self._directory
            if aside == self._directory or not self._connection.tell({"do": "done", "remove": aside}):
                shutil.rmtree(aside, ignore_errors=True)
                self._connection.tell({"do": "done", "remove": ""})
        self._connection.close()

    def _exited(self, message: Mapping[str, Any]) -> Exited:
        if message["exec_id"] is None:
            self._has_ended = True
        else:
            self._connection.tell({"do": "forget_exec", "exec_id": message["exec_id"]})
        return Exited.from_message(self.container_id, message)

    async def _ask(self, request: Mapping[str, Any], fds: Sequence[int] = ()) -> dict[str, Any]:
        try:
            return await self._connection.ask(request, fds)
        except errors.Unavailable:
            if self._is_dismissed:  # while the request was on its way
                raise errors.Conflict(f"container {self.container_id} is not running") from None
            raise

    async def _ask_with_grants(self, grants: Sequence[StreamGrant], **request: Any) -> dict[str, Any]:
        request["grants"] = [grant.to_message() for grant in grants]
        reply = await self._ask(request, [grant.sock.fileno() for grant in grants])
        for grant in grants:
            grant.sock.close()
        return reply


class Spawner:
    """Starts containers. Owns the fork server process and replaces it when it dies."""

    def __init__(self, server: ForkServer, births: Births) -> None:
        self._server = server
        self._births = births

    @classmethod
    async def start(cls, exec_root: str) -> Spawner:
        """Starts the fork server; it is ready when the first launch needs it (some 60 ms later)."""
        births = Births(exec_root)
        server = ForkServer(births.fileno())
        server.start()
        return cls(server, births)

    @property
    def pid(self) -> int:
        """The fork server's process."""
        return self._server.pid

    async def close(self) -> None:
        """Ends the fork server; containers live on."""
        await self._server.close()
        self._births.close()

    async def settle(self) -> bool:
        """Waits for the launches of a daemon that was killed; False when one of them takes longer than a few seconds."""
        return await self._births.settle(_HELLO_SECONDS)

    async def launch(self, launch: Launch, *, meanwhile: Callable[[], Awaitable[None]] | None = None) -> Shim:
        """Starts a container; returns when its command has been executed. Raises StartError with nothing left behind.

        `meanwhile` makes what the spec names on the host, namespaces and sources of mounts, while the shim does all that
        needs none of it; its error is raised here. The grants' sockets are closed here when it succeeds.
        """
        os.makedirs(launch.directory, 0o700, exist_ok=True)
        directory_fd = state.open_directory(launch.directory)
        try:
            state.write(directory_fd, state.CONFIG, dict(launch.spec))
        finally:
            os.close(directory_fd)
        start = asyncio.create_task(self._start(launch, Meanwhile(meanwhile) if meanwhile else None))
        try:
            shim = await asyncio.shield(start)
        except asyncio.CancelledError:  # whoever asked is gone; what is half-born is finished and undone
            with contextlib.suppress(errors.HoldfastError):
                await _undo(await start)
            raise
        for grant in launch.grants:
            grant.sock.close()
        return shim

    async def _start(self, launch: Launch, meanwhile: Meanwhile | None) -> Shim:
        try:
            connection, first = await self._launch(launch, meanwhile)
        except BaseException:
            shutil.rmtree(launch.directory, ignore_errors=True)
            if meanwhile is not None:
                await meanwhile.outcome()  # its error is why the shim gave up
            raise
        return Shim(launch.container_id, launch.directory, connection, first)

    async def _launch(self, launch: Launch, meanwhile: Meanwhile | None) -> tuple[Connection, dict[str, Any]]:
        request = {**launch.to_message(), "waits": meanwhile is not None}
        sockets = [grant.sock.fileno() for grant in launch.grants]
        for _ in range(2):
            generation = self._server.generation
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection = Connection(Channel(ours))
            try:
                with theirs, meanwhile.readiness() if meanwhile else contextlib.nullcontext([]) as readiness:
                    await self._server.send(request, [theirs.fileno(), *readiness, *sockets])
                first = await connection.next_event()
                if first is not None:
                    return connection, _first_event(first)
            except BaseException:
                connection.close()
                raise
            connection.close()
            if not await self._server.has_died(generation):
                break
            # a fork server that died before its fork: a shim that was born would still hold its end
        raise errors.Unavailable(f"the shim of container {launch.container_id} died before its container started")


async def adopt(container_id: str, directory: str) -> Shim:
    """Finds the shim of a container again; raises Unavailable when it is gone (see `read_exit`)."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)
    try:
        directory_fd = state.open_directory(directory)
        try:
            sock.connect(state.socket_address(directory_fd))
        finally:
            os.close(directory_fd)
    except OSError as error:
        sock.close()
        raise errors.Unavailable(f"no shim of container {container_id}: {error.strerror}") from None
    connection = Connection(Channel(sock))
    try:
        first = await asyncio.wait_for(connection.next_event(), _HELLO_SECONDS)
    except TimeoutError:
        first = None
    if first is None:
        connection.close()
        raise errors.Unavailable(f"the shim of container {container_id} does not answer")
    return Shim(container_id, directory, connection, _first_event(first))


def read_exit(directory: str) -> Exited | None:
    """How a container ended while no daemon was there; None when it has not, or nobody saw it."""
    try:
        directory_fd = state.open_directory(directory)
    except FileNotFoundError:
        return None
    try:
        message = state.read(directory_fd, state.EXIT)
    finally:
        os.close(directory_fd)
    return None if message is None else Exited.from_message(message["container_id"], message)


async def _undo(shim: Shim) -> None:
    await shim.kill(signal.SIGKILL)
    async for _ in shim.events():
        pass
    await shim.close()


def _first_event(message: dict[str, Any]) -> dict[str, Any]:
    if message["event"] == "failed":
        raise birth.error_of(message["error"])
    return message
