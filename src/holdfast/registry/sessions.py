# SPDX-License-Identifier: Apache-2.0
"""Uploads under way: which there are, how far each has come, and what becomes of those that nobody goes on with.

A session is an `Ingest` of the content store with its running hash, kept open between requests; it dies with the
process, and its partial file with the next start, so that a kill leaves no half blob. Bounded in number and in age.
Thread-safe; one request at a time works on a session. Called by `registry.blobs`.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from holdfast import content
from holdfast.registry.refusals import Refusal

if TYPE_CHECKING:
    from holdfast.content import Ingest

MOST_SESSIONS = 1024
IDLE_SECONDS = 3600.0


class Session:
    """One upload into one repository."""

    __slots__ = ("busy", "identifier", "ingest", "name", "used")

    def __init__(self, identifier: str, name: str, ingest: Ingest, now: float) -> None:
        self.identifier = identifier
        self.name = name
        self.ingest = ingest
        self.busy = threading.Lock()
        self.used = now


class Sessions:
    """All uploads of one registry."""

    def __init__(self, store: content.Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[str, Session] = {}

    def open(self, name: str) -> Session:
        """Begins an upload; forgets the one idle for longest when there are too many, Refusal when all are at work."""
        identifier = secrets.token_hex(16)
        with self._lock:
            if len(self._sessions) >= MOST_SESSIONS and not self._forget_oldest():
                raise Refusal("TOOMANYREQUESTS", "too many uploads are under way: try again later")
            ingest = self._store.ingest(f"upload-{identifier}", resumable=False)
            session = self._sessions[identifier] = Session(identifier, name, ingest, self._clock())
        return session

    @contextmanager
    def at_work(self, name: str, identifier: str) -> Generator[Session]:
        """The session for one request; Refusal when it is unknown, of another repository, or at work already."""
        with self._lock:
            session = self._sessions.get(identifier)
            if session is None or session.name != name:
                raise Refusal("BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
            if not session.busy.acquire(blocking=False):
                raise Refusal("BLOB_UPLOAD_INVALID", "another request is writing to this upload", status=409)
            session.used = self._clock()
        try:
            yield session
        finally:
            session.used = self._clock()
            session.busy.release()

    def end(self, session: Session) -> None:
        """Forgets a session and drops what it has not committed."""
        with self._lock:
            self._sessions.pop(session.identifier, None)
        session.ingest.abort()

    def expire(self, idle_seconds: float = IDLE_SECONDS) -> int:
        """Ends the sessions that were idle for that long; returns how many."""
        oldest = self._clock() - idle_seconds
        with self._lock:
            stale = [s for s in self._sessions.values() if s.used < oldest and s.busy.acquire(blocking=False)]
        for session in stale:
            self.end(session)
        return len(stale)

    def _forget_oldest(self) -> bool:
        for session in sorted(self._sessions.values(), key=lambda each: each.used):
            if session.busy.acquire(blocking=False):
                del self._sessions[session.identifier]
                session.ingest.abort()
                return True
        return False
