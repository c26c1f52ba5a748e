# SPDX-License-Identifier: Apache-2.0
"""Accepts connections and answers each in a thread of its own; bounded, and never idle ones at the cost of new ones.

Threads and not the event loop: a blob leaves with one blocking sendfile(2) and an upload is hashed, both outside the
GIL, which makes one process use every core (measured: bench/registry.py). Made by `registry.main`.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from urllib.parse import unquote

from holdfast.errors import HoldfastError
from holdfast.registry.access import Gate
from holdfast.registry.connection import Connection, Gone, Limits, ReceivedBody
from holdfast.registry.http import Answer, Request, parse_query
from holdfast.registry.refusals import Refusal, body_of, refusal_for
from holdfast.registry.router import API_VERSION, Router
from holdfast.wire import http1

_LOG = logging.getLogger("holdfast.registry")
MOST_CONNECTIONS = 1024
_UNREAD_BYTES = 1 << 20
_BREATHER_SECONDS = 0.05


class Server:
    """One registry's front."""

    def __init__(
        self,
        router: Router,
        gate: Gate,
        *,
        tls: ssl.SSLContext | None = None,
        limits: Limits | None = None,
        most_connections: int = MOST_CONNECTIONS,
    ) -> None:
        self._router = router
        self._gate = gate
        self._tls = tls
        self._limits = limits or Limits()
        self._free = threading.BoundedSemaphore(most_connections)
        self._lock = threading.Lock()
        self._connections: set[Connection] = set()
        self._listening: socket.socket | None = None
        self._is_closed = False

    def serve(self, listening: socket.socket) -> None:
        """Accepts until `close`."""
        self._listening = listening
        while not self._is_closed:
            self._make_room()
            try:
                sock, _ = listening.accept()
            except OSError as error:  # a client that left already, or no descriptor free
                self._free.release()
                if not self._is_closed:
                    _LOG.warning("a connection could not be accepted: %s", error)
                    time.sleep(_BREATHER_SECONDS)
                continue
            try:
                threading.Thread(target=self._run, args=(sock,), daemon=True).start()
            except RuntimeError:
                _LOG.warning("a connection was dropped: no more threads")
                sock.close()
                self._free.release()

    def close(self) -> None:
        """Stops accepting and ends every connection."""
        self._is_closed = True
        if self._listening is not None:
            with contextlib.suppress(OSError):
                self._listening.shutdown(socket.SHUT_RDWR)
            self._listening.close()
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.shut()

    def _make_room(self) -> None:
        """Takes a place for the next connection, an idle one's if there is no other."""
        while not self._free.acquire(timeout=_BREATHER_SECONDS):
            with self._lock:
                idle = next((each for each in self._connections if each.is_idle), None)
            if idle is not None:
                idle.is_idle = False
                idle.shut()

    def _run(self, sock: socket.socket) -> None:
        connection: Connection | None = None
        try:
            connection = self._open(sock)
            with self._lock:
                self._connections.add(connection)
            while self._answer_one(connection):
                pass
        except (Gone, OSError) as error:
            _LOG.debug("connection ended: %s", error)
        except Exception:  # noqa: BLE001 (a bug ends one connection, not the registry)
            _LOG.exception("connection failed")
        finally:
            if connection is not None:
                with self._lock:
                    self._connections.discard(connection)
                connection.close()
            else:
                sock.close()
            self._free.release()

    def _open(self, sock: socket.socket) -> Connection:
        sock.settimeout(self._limits.head_seconds)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return Connection(self._tls.wrap_socket(sock, server_side=True) if self._tls else sock, self._limits)

    def _answer_one(self, connection: Connection) -> bool:
        """One request; true when the connection can take another."""
        try:
            head = connection.next_head()
        except http1.ProtocolError as error:
            _send_protocol_error(connection, error)
            return False
        if head is None:
            return False
        body = connection.body(head)
        began = time.monotonic()
        answer = self._answer(head, body)
        closes = not head.keeps_alive or not (body.is_over or body.discard(_UNREAD_BYTES))
        connection.send(head, answer, closes=closes)
        if _LOG.isEnabledFor(logging.INFO):
            _LOG.info(
                "%s %s %d %.1f ms", head.method, printable(head.target), answer.status, (time.monotonic() - began) * 1e3
            )
        if closes and not body.is_over:
            connection.linger()
        return not closes

    def _answer(self, head: http1.Head, body: ReceivedBody) -> Answer:
        try:
            answer = self._ask(head, body)
        except HoldfastError as error:
            if isinstance(error, Gone):
                raise
            refusal = refusal_for(error)
            answer = Answer(
                status=refusal.status,
                headers={"Content-Type": "application/json", **refusal.headers},
                body=body_of(refusal),
            )
        except Exception:  # noqa: BLE001 (the one place where a bug becomes an answer)
            _LOG.exception("%s %s failed", head.method, printable(head.target))
            answer = Answer(
                status=500,
                headers={"Content-Type": "application/json"},
                body=body_of(Refusal("UNKNOWN", "internal error, see the registry's log")),
            )
        answer.headers.update(API_VERSION)
        answer.headers["X-Content-Type-Options"] = "nosniff"
        return answer

    def _ask(self, head: http1.Head, body: ReceivedBody) -> Answer:
        path, _, raw_query = head.target.partition("?")
        request = Request(
            method=head.method,
            path=unquote(path) if "%" in path else path,
            query=parse_query(raw_query) if raw_query else {},
            headers=head.headers,
            body=body,
        )
        match = self._router.match(request)
        granted = self._gate.admit(head.headers.get("authorization", ""), match.wanted)
        return match.call(granted)


def _send_protocol_error(connection: Connection, error: http1.ProtocolError) -> None:
    refusal = Refusal("UNSUPPORTED", error.message, status=error.status)
    headers = {"Content-Type": "application/json", **API_VERSION}
    answer = Answer(status=refusal.status, headers=headers, body=body_of(refusal))
    connection.send(_NO_HEAD, answer, closes=True)
    connection.linger()


def printable(text: str) -> str:
    """A client's text, fit for a log: without the query, shortened, control characters replaced."""
    return "".join(char if char.isprintable() else "?" for char in text.partition("?")[0][:300])


_NO_HEAD = http1.Head("GET", "/", {}, is_http10=False)
