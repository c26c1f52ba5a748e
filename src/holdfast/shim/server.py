# SPDX-License-Identifier: Apache-2.0
"""The shim's side of its connections: takes requests, gives replies and events, and knows when it may leave.

The first connection comes with the launch; later daemons connect to `shim.sock`, whose peer must be our own user. A
daemon that does not read is disconnected, never waited for. Called by `main`.
"""

from __future__ import annotations

import os
import socket
from struct import unpack

from holdfast import errors
from holdfast.kernel import loop
from holdfast.shim import state
from holdfast.shim.birth import describe
from holdfast.shim.channel import Channel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.shim.container import Container
    from holdfast.shim.protocol import Message

_BACKLOG = 16
_LOOK_SECONDS = 2.0
_FLUSH_SECONDS = 0.05


class Server:
    """Serves one container's daemons. `container` is set once it runs."""

    __slots__ = ("_channels", "_directory_fd", "_is_done", "_listener", "_loop", "container", "removes")

    def __init__(self, directory_fd: int, poll: loop.Loop) -> None:
        self._directory_fd = directory_fd
        self._loop = poll
        self._channels: list[Channel] = []
        self._is_done = False
        self.container: Container | None = None
        self.removes = ""
        """The directory, by its last name, when its removal is left to this process."""
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def listen(self) -> None:
        """From now on a new daemon finds this shim; OSError."""
        old_mask = os.umask(0o177)
        try:
            self._listener.bind(state.socket_address(self._directory_fd))
        finally:
            os.umask(old_mask)
        self._listener.listen(_BACKLOG)
        self._listener.setblocking(False)
        self._loop.add(self._listener.fileno(), loop.READ, self._accept)

    def adopt(self, channel: Channel) -> None:
        """Serves a connection that exists already."""
        self._channels.append(channel)
        self._loop.add(channel.fileno(), loop.READ, lambda _: self._receive(channel))

    def notify(self, event: Message) -> None:
        """Tells every connected daemon."""
        for channel in tuple(self._channels):
            self._send(channel, event)
        if self.container is not None and self.container.exit is event:
            self._loop.call_later(_LOOK_SECONDS, self._look_for_directory)

    def _accept(self, ready: int) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError:
            return
        credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        _, uid, _ = unpack("3i", credentials)
        if uid != os.geteuid() or self.container is None:
            sock.close()
            return
        channel = Channel(sock)
        self.adopt(channel)
        self._send(channel, {"event": "hello", **self.container.to_message()})

    def _send(self, channel: Channel, message: Message) -> None:
        try:
            channel.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return  # a daemon that hung up may have said `done` before: that is still to be read, then the end
        except OSError:
            self._drop(channel)

    def _drop(self, channel: Channel) -> None:
        if channel in self._channels:
            self._channels.remove(channel)
            self._loop.remove(channel.fileno())
            channel.close()

    def _receive(self, channel: Channel) -> None:
        try:
            received = channel.receive()
        except BlockingIOError:
            return
        except errors.Corrupt:
            received = None
        if received is None:
            self._drop(channel)
            return
        request, fds = received
        clients = [socket.socket(fileno=fd) for fd in fds]
        try:
            reply = self._act(request, clients)
        except errors.HoldfastError as error:
            reply = _refuse(error, clients)
        except OSError as error:
            reply = _refuse(errors.Internal(f"shim: {request.get('do')}: {error}"), clients)
        if "id" in request:
            self._send(channel, {"re": request["id"], **reply})

    def _act(self, request: Message, clients: Sequence[socket.socket]) -> Message:
        container = self.container
        if container is None:
            raise errors.Conflict("container is not running")
        match request["do"]:
            case "attach":
                container.attach(request["exec_id"], request["grants"][0], clients[0])
            case "exec":
                return {"pid": container.execute(request, clients)}
            case "kill":
                container.kill(request["signal"], is_for_all=request["all"])
            case "kill_exec":
                container.kill_exec(request["exec_id"], request["signal"])
            case "resize":
                container.resize(request["exec_id"], request["height"], request["width"])
            case "pause":
                container.pause()
            case "resume":
                container.resume()
            case "update":
                container.update(request["resources"])
            case "forget_exec":
                container.forget_exec(request["exec_id"])
            case "done":
                self._is_done = True
                self.removes = request["remove"]
                self._leave_when_possible()
            case other:
                raise errors.Unsupported(f"shim does not know how to {other}")
        return {}

    def _look_for_directory(self) -> None:
        if state.is_removed(self._directory_fd):
            self._is_done = True
            self._leave_when_possible()
        else:
            self._loop.call_later(_LOOK_SECONDS, self._look_for_directory)

    def _leave_when_possible(self) -> None:
        if not self._is_done or self.container is None or self.container.exit is None:
            return
        if self.container.has_clients:
            self._loop.call_later(_FLUSH_SECONDS, self._leave_when_possible)
        else:
            self._loop.stop()


def _refuse(error: errors.HoldfastError, clients: Sequence[socket.socket]) -> Message:
    for client in clients:  # the daemon has its own descriptors and may tell the clients why
        client.close()
    return {"error": describe(error)}
