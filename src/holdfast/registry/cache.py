# SPDX-License-Identifier: Apache-2.0
"""Manifests and tags of a pull-through cache: asked upstream, kept, and served from here while upstream is away.

What has a digest is fetched once; a tag is compared with upstream's by a HEAD at most every few seconds.
"""

from __future__ import annotations

import threading
import time

from holdfast import content
from holdfast.errors import Unavailable
from holdfast.oci import digest as digests
from holdfast.registry.catalogue import Catalogue
from holdfast.registry.http import Answer, Request
from holdfast.registry.manifests import Manifests, check_reference, read_record
from holdfast.registry.refusals import Refusal
from holdfast.registry.upstream import Upstream, ask, never

_FRESH_SECONDS = 5.0
_FRESH_MOST = 10_000


class CachedManifests(Manifests):
    """The handlers for everything that is not a blob, with upstream behind them."""

    def __init__(self, store: content.Store, catalogue: Catalogue, upstream: Upstream) -> None:
        super().__init__(store, catalogue)
        self._blobs = store
        self._known = catalogue
        self._upstream = upstream
        self._lock = threading.Lock()
        self._asked: dict[tuple[str, str], float] = {}

    def get(self, request: Request, name: str, reference: str) -> Answer:
        """GET and HEAD: what upstream has now, or the last that it had."""
        check_reference(reference)
        try:
            self._refresh(name, reference)
        except Unavailable:
            if not self._is_here(name, reference):
                raise
        return super().get(request, name, reference)

    def tags(self, request: Request, name: str) -> Answer:
        """GET: upstream's list; ours while it is away."""
        try:
            found = ask("NAME", lambda: self._upstream.remote(name).tags(never()))
        except Unavailable:
            return super().tags(request, name)
        return self.page_of_tags(request, name, sorted(found))

    def _is_here(self, name: str, reference: str) -> bool:
        try:
            self._known.resolve(name, reference)
        except Refusal:
            return False
        return True

    def _refresh(self, name: str, reference: str) -> None:
        if digests.is_digest(reference):
            if not self._is_here(name, reference):
                self._fetch(name, reference)
            return
        now, key = time.monotonic(), (name, reference)
        with self._lock:
            if self._asked.get(key, 0.0) > now - _FRESH_SECONDS and self._is_here(name, reference):
                return
        if not self._is_here(name, reference) or not self._is_current(name, reference):
            self._fetch(name, reference)
        with self._lock:
            if len(self._asked) >= _FRESH_MOST:
                self._asked.clear()
            self._asked[key] = now

    def _is_current(self, name: str, tag: str) -> bool:
        digest, _ = self._known.resolve(name, tag)
        remote = self._upstream.remote(name)
        return ask("MANIFEST", lambda: remote.head_manifest(tag, never())) == digest

    def _fetch(self, name: str, reference: str) -> None:
        remote = self._upstream.remote(name)
        document = ask("MANIFEST", lambda: remote.manifest(reference, never()))
        record = read_record(document.data, document.media_type)
        tag = "" if digests.is_digest(reference) else reference
        with self._blobs.lease() as lease:
            lease.add(document.digest)
            self.keep(document.data, document.digest)
            self._known.put_manifest(name, document.digest, record, tag, is_sparse=True)
