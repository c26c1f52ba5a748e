# SPDX-License-Identifier: Apache-2.0
"""127.0.0.11 of one sandbox: its sockets, the port shift that makes them port 53, and the questions under way.

The sockets are bound to a free high port, so that a server of the container's own may have 0.0.0.0:53. Two filter
chains in the container's namespace shift the port, 53 to ours as late as possible on the way in and back as early as
possible on the way out: whatever else the container runs sees 53 only, and no connection is tracked for it. Called by
`main`. A container can keep itself busy here, not others: each turn, and all that waits, is bounded.
"""

from __future__ import annotations

import errno
import os
import socket

from holdfast.kernel import netns, nfelement, nfrule
from holdfast.kernel.loop import READ, WRITE, Loop
from holdfast.networks.dns import forward
from holdfast.networks.dns.answers import Answers
from holdfast.wire import dns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.networks.dns.forward import Exchange, Route

ADDRESS = "127.0.0.11"
TABLE = "holdfast-dns"
_PORT = 53
_BIND_ATTEMPTS = 16
_QUERY_LIMIT = 4096
_TURN = 32
_MAXIMUM_WAITING = 256
_MAXIMUM_CONNECTIONS = 32
_IDLE_SECONDS = 10.0
_LAST, _FIRST = 300, -300
_UDP, _TCP = socket.IPPROTO_UDP, socket.IPPROTO_TCP
_CHECKSUMS = ((_UDP, 6), (_TCP, 16))


class Listener:
    """Serves one sandbox from its making until `close`. `routes` gives the upstreams at the time of a question."""

    __slots__ = ("_answers", "_connections", "_fd", "_home", "_poll", "_routes", "_tcp", "_udp", "_waiting")

    def __init__(
        self, poll: Loop, answers: Answers, netns_fd: int, home: int, routes: Callable[[], list[Route]]
    ) -> None:
        self._poll = poll
        self._answers = answers
        self._fd = netns_fd
        self._home = home
        self._routes = routes
        self._waiting: dict[tuple[object, bytes], Exchange] = {}
        self._connections: set[Connection] = set()
        self._udp, self._tcp = netns.inside(netns_fd, home, _open)
        poll.add(self._udp.fileno(), READ, self._receive)
        poll.add(self._tcp.fileno(), READ, self._accept)

    def close(self) -> None:
        for exchange in self._waiting.values():
            exchange.close()
        self._waiting.clear()
        for connection in tuple(self._connections):
            connection.close()
        for sock in (self._udp, self._tcp):
            self._poll.remove(sock.fileno())
            sock.close()
        os.close(self._fd)

    def _receive(self, _: int) -> None:
        receive, send, answer_of = self._udp.recvfrom, self._udp.sendto, self._answers.answer
        try:
            for _turn in range(_TURN):
                query, client = receive(_QUERY_LIMIT)
                answer = answer_of(query)
                if isinstance(answer, bytes):
                    send(answer, client)
                elif answer is not None:
                    self._forward(query, answer, client, None)
        except OSError:  # nothing more to read, or a client that is gone
            return

    def ask(self, query: bytes, connection: Connection) -> None:
        """Answers what came by TCP."""
        answer = self._answers.answer(query, limit=65535)
        if isinstance(answer, bytes):
            connection.send(answer)
        elif answer is not None:
            self._forward(query, answer, connection, connection)

    def forget(self, connection: Connection) -> None:
        self._connections.discard(connection)
        for key in [key for key in self._waiting if key[0] is connection]:
            self._waiting.pop(key).close()

    def _forward(self, query: bytes, question: dns.Question, client: object, connection: Connection | None) -> None:
        """A question that is on its way already is the client's impatience."""
        key = (client, query)
        if key in self._waiting:
            return

        def end(answer: bytes | None) -> None:
            self._waiting.pop(key, None)
            said = answer or dns.refuse(query, dns.SERVER_FAILURE, question)
            if connection is not None:
                connection.send(said)
                return
            try:
                self._udp.sendto(said, client)  # pyright: ignore[reportArgumentType]
            except OSError:
                return

        routes = self._routes()
        if not routes or len(self._waiting) >= _MAXIMUM_WAITING:
            end(None)
            return
        exchange = forward.Exchange(
            self._poll, query, question, routes, self._open_upstream, end, tcp=connection is not None
        )
        self._waiting[key] = exchange
        exchange.start()

    def _open_upstream(self, route: Route, kind: int) -> socket.socket:
        if route[1]:
            return forward.open_upstream(route, kind)
        return netns.inside(self._fd, self._home, lambda: forward.open_upstream(route, kind))

    def _accept(self, _: int) -> None:
        try:
            sock, _ = self._tcp.accept()
        except OSError:
            return
        if len(self._connections) >= _MAXIMUM_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        self._connections.add(Connection(self._poll, sock, self))


class Connection:
    """A client by TCP: messages with their length before them, several if it likes."""

    __slots__ = ("_listener", "_poll", "_received", "_sock", "_timer", "_unsent")

    def __init__(self, poll: Loop, sock: socket.socket, listener: Listener) -> None:
        self._poll = poll
        self._sock = sock
        self._listener = listener
        self._received = b""
        self._unsent = b""
        self._timer = poll.call_later(_IDLE_SECONDS, self.close)
        poll.add(sock.fileno(), READ, self._act)

    def close(self) -> None:
        """Idempotent."""
        if self._sock.fileno() < 0:
            return
        self._timer.cancel()
        self._poll.remove(self._sock.fileno())
        self._sock.close()
        self._listener.forget(self)

    def send(self, answer: bytes) -> None:
        """A client that does not read what it asked for is not waited for."""
        if self._sock.fileno() < 0:
            return
        if len(self._unsent) > 2 * 65535:
            self.close()
            return
        self._unsent += len(answer).to_bytes(2, "big") + answer
        self._poll.watch(self._sock.fileno(), READ | WRITE)

    def _act(self, _: int) -> None:
        self._timer.cancel()
        self._timer = self._poll.call_later(_IDLE_SECONDS, self.close)
        try:
            if self._unsent:
                self._unsent = self._unsent[self._sock.send(self._unsent) :]
                if not self._unsent:
                    self._poll.watch(self._sock.fileno(), READ)
            piece = self._sock.recv(_QUERY_LIMIT)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self.close()
            return
        self._received += piece
        self._read_messages()

    def _read_messages(self) -> None:
        while len(self._received) >= 2 and self._sock.fileno() >= 0:
            length = int.from_bytes(self._received[:2], "big")
            if not dns.HEADER_BYTES <= length <= _QUERY_LIMIT:
                self.close()
                return
            if len(self._received) < 2 + length:
                return
            query, self._received = self._received[2 : 2 + length], self._received[2 + length :]
            self._listener.ask(query, self)


def _open() -> tuple[socket.socket, socket.socket]:
    """The sockets, on one port, and the port shift; in the sandbox's namespace."""
    for _ in range(_BIND_ATTEMPTS):
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        try:
            udp.bind((ADDRESS, 0))
            port: int = udp.getsockname()[1]
            tcp.bind((ADDRESS, port))
            tcp.listen(_MAXIMUM_CONNECTIONS)
            _shift(port)
        except OSError as error:
            udp.close()
            tcp.close()
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        return udp, tcp
    raise OSError(errno.EADDRINUSE, "no port is free for UDP and TCP")


def _shift(port: int) -> None:
    """One transaction; what an earlier resolver left is replaced."""
    address = socket.inet_aton(ADDRESS)
    ours, public = port.to_bytes(2, "big"), _PORT.to_bytes(2, "big")
    source, target = (12, 0), (16, 2)  # where address and port of each side stand in their headers
    requests = [
        nfrule.add_table(TABLE),
        nfrule.add_chain(TABLE, "input", nfrule.HOOK_INPUT, _LAST),
        nfrule.add_chain(TABLE, "output", nfrule.HOOK_OUTPUT, _FIRST),
    ]
    for chain, (address_at, port_at), seen, meant in (
        ("input", target, public, ours),
        ("output", source, ours, public),
    ):
        for protocol, checksum in _CHECKSUMS:
            requests.append(
                nfrule.add_rule(
                    TABLE,
                    chain,
                    nfrule.match_payload(nfrule.NETWORK_HEADER, address_at, address),
                    nfrule.match_protocol(protocol),
                    nfrule.match_payload(nfrule.TRANSPORT_HEADER, port_at, seen),
                    nfrule.write_payload(nfrule.TRANSPORT_HEADER, port_at, meant, checksum_offset=checksum),
                )
            )
    with nfelement.open_socket() as links:
        try:
            nfelement.change(links, *requests)
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
            nfelement.change(links, nfrule.delete_table(TABLE), *requests)
