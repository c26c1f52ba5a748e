# SPDX-License-Identifier: Apache-2.0
"""Asks the world: one question on its way to one upstream after the other, by UDP or TCP.

The client's own bytes travel, under a number and from a port that nobody can guess; what comes back is passed on as it
came (EDNS, truncation and all) once it is the answer to that very question. An upstream that is silent for a moment
gets a rival, not a successor: whoever answers first is believed. SERVFAIL and REFUSED are believed only when nobody has
better news. Called by `listener`. Sources: RFC 1035 §7, RFC 5452 §9 (matching answers), RFC 7766 (TCP).
"""

from __future__ import annotations

import errno
import os
import socket

from holdfast.kernel.loop import READ, WRITE, Loop, Timer
from holdfast.wire import dns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Route = tuple[str, bool]
    """An upstream's address, and whether it is asked from the host's namespace."""
    Open = Callable[[Route, int], socket.socket]
    """Makes a socket of one kind in the right namespace; OSError."""

PORT = 53
_RIVAL_SECONDS = 1.5
_PATIENCE_SECONDS = 4.0
_MAXIMUM_TRIES = 4
_WORSE = (dns.SERVER_FAILURE, dns.REFUSED, dns.NOT_IMPLEMENTED)


class Exchange:
    """One question; `on_end` gets the answer, or None when nobody had one. It is called exactly once."""

    __slots__ = ("_attempts", "_is_over", "_next_route", "_on_end", "_open", "_poll", "_query", "_question",
                 "_refusal", "_routes", "_tcp", "_timers", "_tries")  # fmt: skip

    def __init__(
        self,
        poll: Loop,
        query: bytes,
        question: dns.Question,
        routes: list[Route],
        open_socket: Open,
        on_end: Callable[[bytes | None], None],
        *,
        tcp: bool,
    ) -> None:
        self._poll = poll
        self._query = query
        self._question = query[dns.HEADER_BYTES : question.end]
        self._routes = routes
        self._open = open_socket
        self._on_end = on_end
        self._tcp = tcp
        self._attempts: list[Attempt] = []
        self._timers: list[Timer] = []
        self._tries = 0
        self._refusal: bytes | None = None
        self._is_over = False

    def start(self) -> None:
        self._timers.append(self._poll.call_later(_RIVAL_SECONDS * 2 + _PATIENCE_SECONDS, lambda: self._end(None)))
        self._try_next()

    def close(self) -> None:
        """Gives up without a word."""
        self._is_over = True
        for timer in self._timers:
            timer.cancel()
        for attempt in self._attempts:
            attempt.close()
        self._attempts.clear()

    def _try_next(self) -> None:
        """Every upstream has its turn, and an only one, or a lost datagram, a second chance."""
        while not self._is_over:
            if self._tries >= max(2, min(len(self._routes), _MAXIMUM_TRIES)) or not self._routes:
                if not self._attempts:
                    self._end(None)
                return
            route = self._routes[self._tries % len(self._routes)]
            self._tries += 1
            try:
                sock = self._open(route, socket.SOCK_STREAM if self._tcp else socket.SOCK_DGRAM)
            except OSError:
                continue
            number = int.from_bytes(os.urandom(2), "big")
            self._attempts.append(
                (TcpAttempt if self._tcp else UdpAttempt)(self._poll, sock, number, self._query, self._hear)
            )
            self._timers.append(self._poll.call_later(_RIVAL_SECONDS, self._try_next))
            return

    def _hear(self, attempt: Attempt, message: bytes | None) -> None:
        """An attempt's message, or None when it has failed for good."""
        if message is not None and not dns.is_answer_to(message, attempt.number, self._question):
            return
        attempt.close()
        self._attempts.remove(attempt)
        if message is not None:
            own = self._query[:2] + message[2:]
            if dns.code_of(message) not in _WORSE:
                self._end(own)
                return
            self._refusal = own
        self._try_next()

    def _end(self, answer: bytes | None) -> None:
        if not self._is_over:
            self.close()
            self._on_end(answer or self._refusal)


class Attempt:
    """A socket to one upstream."""

    __slots__ = ("_hear", "_poll", "_query", "_sock", "number")

    def __init__(
        self,
        poll: Loop,
        sock: socket.socket,
        number: int,
        query: bytes,
        hear: Callable[[Attempt, bytes | None], None],
    ) -> None:
        self._poll = poll
        self._sock = sock
        self._query = number.to_bytes(2, "big") + query[2:]
        self._hear = hear
        self.number = number
        self._begin()

    def _begin(self) -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Idempotent."""
        if self._sock.fileno() >= 0:
            self._poll.remove(self._sock.fileno())
            self._sock.close()


class UdpAttempt(Attempt):
    __slots__ = ()

    def _begin(self) -> None:
        self._poll.add(self._sock.fileno(), READ, self._receive)
        try:
            self._sock.send(self._query)
        except OSError:
            self._poll.call_later(0.0, self._fail)

    def _fail(self) -> None:
        if self._sock.fileno() >= 0:
            self._hear(self, None)

    def _receive(self, _: int) -> None:
        try:
            message = self._sock.recv(65535)
        except BlockingIOError:
            return
        except OSError:  # nobody listens there
            self._hear(self, None)
            return
        self._hear(self, message)


class TcpAttempt(Attempt):
    __slots__ = ("_received", "_rest")

    def _begin(self) -> None:
        self._rest = len(self._query).to_bytes(2, "big") + self._query
        self._received = b""
        self._poll.add(self._sock.fileno(), WRITE, self._act)

    def _act(self, _: int) -> None:
        try:
            if self._rest:
                self._rest = self._rest[self._sock.send(self._rest) :]
                if not self._rest:
                    self._poll.watch(self._sock.fileno(), READ)
                return
            piece = self._sock.recv(65537)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._hear(self, None)
            return
        self._received += piece
        length = int.from_bytes(self._received[:2], "big")
        if len(self._received) >= 2 + length > 2:
            self._hear(self, self._received[2 : 2 + length])
            if self._sock.fileno() >= 0:  # it was no answer to this question: who says that once is not heard again
                self._hear(self, None)


def open_upstream(route: Route, kind: int) -> socket.socket:
    """A socket on its way to the upstream, in the namespace of the calling thread."""
    address = route[0]
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        where = socket.getaddrinfo(address.encode(), PORT, family, kind, 0, socket.AI_NUMERICHOST)[0][4]
        sock.connect(where)
    except OSError as error:
        if error.errno != errno.EINPROGRESS:
            sock.close()
            raise
    return sock
