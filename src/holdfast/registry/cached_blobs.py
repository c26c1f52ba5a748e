# SPDX-License-Identifier: Apache-2.0
"""Blobs of a pull-through cache: fetched once, and passed on while they arrive.

The first client to ask starts a flight; it and all who come meanwhile read from the growing file. The last byte waits
until the digest is right, so that a bad blob is never handed out whole; what arrived of it is deleted.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from holdfast import content
from holdfast.distribution import Cancellation
from holdfast.distribution import blobs as fetching
from holdfast.distribution.progress import silent
from holdfast.distribution.remote import Remote
from holdfast.errors import HoldfastError
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.registry.blobs import Blobs, parse_digest
from holdfast.registry.catalogue import Catalogue
from holdfast.registry.connection import Gone
from holdfast.registry.http import Answer, Request, Stream
from holdfast.registry.refusals import Refusal
from holdfast.registry.sessions import Sessions
from holdfast.registry.upstream import Upstream, ask, never

_LOG = logging.getLogger("holdfast.registry")
_PIECE_BYTES = 256 << 10
_POLL_SECONDS = 0.01
_KIND = "application/octet-stream"


class _Flight:
    """One blob on its way; `content.Store` as the fetcher sees it, so that the growing file is known here."""

    def __init__(self, store: content.Store, size: int) -> None:
        self._store = store
        self.size = size
        self.growing: content.Ingest | None = None
        self.file: BinaryIO | None = None
        self.is_over = threading.Event()
        self.failure: HoldfastError | None = None

    def has(self, digest: Digest, size: int) -> bool:
        return self._store.has(digest, size)

    def ingest(self, ref: str, expected: Digest, size: int) -> content.Ingest:
        self.growing = self._store.ingest(ref, expected, size)
        self.file = self.growing.open_reader()
        return self.growing

    def pieces(self) -> Iterator[bytes]:
        """The bytes as they come; Gone when the blob turned out bad or upstream gave up."""
        position = 0
        while position < self.size:
            if self.is_over.is_set() and self.failure is not None:
                raise Gone(f"the blob did not arrive: {self.failure.message}")
            is_over = self.is_over.is_set()
            there = self.growing.offset if self.growing is not None else 0
            end = self.size if is_over else min(there, self.size - 1)
            if position >= end or self.file is None:
                time.sleep(_POLL_SECONDS)
                continue
            data = os.pread(self.file.fileno(), min(_PIECE_BYTES, end - position), position)
            if not data:
                raise Gone("the blob became shorter while it was passed on")
            position += len(data)
            yield data


class CachedBlobs(Blobs):
    """The handlers for blobs, with upstream behind them."""

    def __init__(self, store: content.Store, catalogue: Catalogue, sessions: Sessions, upstream: Upstream) -> None:
        super().__init__(store, catalogue, sessions)
        self._content = store
        self._known = catalogue
        self._upstream = upstream
        self._lock = threading.Lock()
        self._flights: dict[Digest, _Flight] = {}

    def get(self, request: Request, name: str, text: str) -> Answer:
        """GET and HEAD: from here when it is here, else passed on from upstream and kept."""
        digest = parse_digest(text)
        if self._known.has_blob(name, digest) and self._content.has(digest):
            return super().get(request, name, text)
        remote = self._upstream.remote(name)
        size = ask("BLOB", lambda: remote.head_blob(digest, never()))
        if size is None:
            raise Refusal("BLOB_UNKNOWN", f"blob unknown to the registry behind this cache: {digest}")
        headers = {"Content-Type": _KIND, "Docker-Content-Digest": digest, "Etag": f'"{digest}"'}
        if request.is_head:
            return Answer(headers={**headers, "Content-Length": str(size)})
        flight = self._board(remote, name, Descriptor(_KIND, digest, size))
        if "range" in request.headers or flight is None:
            if flight is not None:
                flight.is_over.wait()
            return super().get(request, name, text)
        return Answer(headers=headers, body=Stream(pieces=flight.pieces(), length=size))

    def _board(self, remote: Remote, name: str, descriptor: Descriptor) -> _Flight | None:
        """The blob's flight, begun if there is none; None when the bytes are here for another repository already."""
        digest = descriptor.digest
        with self._content.lease() as lease:
            lease.add(digest)
            if self._content.has(digest):
                self._known.link(name, digest)
                return None
        with self._lock:
            flight = self._flights.get(digest)
            if flight is None:
                flight = self._flights[digest] = _Flight(self._content, descriptor.size)
                threading.Thread(target=self._fly, args=(remote, name, descriptor, flight), daemon=True).start()
        return flight

    def _fly(self, remote: Remote, name: str, descriptor: Descriptor, flight: _Flight) -> None:
        try:
            with self._content.lease():
                fetching.fetch(remote, descriptor, flight, silent, Cancellation())
                self._known.link(name, descriptor.digest)
                if flight.file is None:  # it had landed for somebody else a moment ago
                    flight.file = self._content.open(descriptor.digest)
        except HoldfastError as error:
            _LOG.warning("blob %s from upstream: %s", descriptor.digest, error.message)
            flight.failure = error
        except OSError as error:
            flight.failure = Gone(str(error))
        finally:
            with self._lock:
                del self._flights[descriptor.digest]
            flight.is_over.set()
