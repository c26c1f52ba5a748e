# SPDX-License-Identifier: Apache-2.0
"""What the registry knows: repositories, and for each its blobs, manifests, tags and referrers.

All of it is in memory, every change is one transaction in `metadata` first. A blob counts as a repository's own only
when it is linked there, so nobody reads through a guessed digest what they may not pull. A link that no manifest uses
is an upload's: it lives for `grace` after it was last asked for, so that a push never loses what it just sent.
Thread-safe. Called by the handlers and by `registry.collect`.
Buckets: `blobs` (name@digest), `manifests` (name@digest: Record), `tags` (name:tag -> digest).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import msgspec

from holdfast.oci import digest as digests
from holdfast.oci.digest import Digest
from holdfast.registry.refusals import Refusal

if TYPE_CHECKING:
    from holdfast.metadata import Store

BLOBS, MANIFESTS, TAGS = "blobs", "manifests", "tags"


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is to be known of a manifest without reading it."""

    media_type: str
    size: int
    blobs: tuple[Digest, ...] = ()
    manifests: tuple[Digest, ...] = ()
    subject: str = ""
    artifact_type: str = ""
    annotations: dict[str, str] = {}


class _Repository:
    __slots__ = ("blobs", "manifests", "referrers", "tags")

    def __init__(self) -> None:
        self.blobs: dict[Digest, float] = {}
        """Linked blobs, with the time when each was last asked for."""
        self.manifests: dict[Digest, Record] = {}
        self.tags: dict[str, Digest] = {}
        self.referrers: dict[str, list[Digest]] = {}


class Catalogue:
    """The records of one registry."""

    def __init__(self, metadata: Store, clock: Callable[[], float] = time.monotonic) -> None:
        self._metadata = metadata
        self._clock = clock
        self._lock = threading.RLock()
        self._repositories: dict[str, _Repository] = {}
        self.is_damaged = False
        """True when records were lost, so that nobody knows which blobs are needed."""
        self._restore()

    def _restore(self) -> None:
        now = self._clock()
        for key, _ in self._metadata.items(BLOBS):
            name, _, digest = key.rpartition("@")
            self._open(name).blobs[Digest(digest)] = now
        for key, data in self._metadata.items(MANIFESTS):
            name, _, digest = key.rpartition("@")
            try:
                self._remember(self._open(name), Digest(digest), msgspec.json.decode(data, type=Record))
            except msgspec.MsgspecError:
                self.is_damaged = True
        for key, data in self._metadata.items(TAGS):
            name, _, tag = key.rpartition(":")
            repository = self._open(name)
            if (digest := Digest(data.decode())) in repository.manifests:
                repository.tags[tag] = digest
        self.is_damaged |= bool(self._metadata.damaged or self._metadata.moved_aside)

    # looking

    def names(self, last: str, count: int) -> list[str]:
        """Up to `count` names of repositories with something in them, in order, after `last`."""
        with self._lock:
            found = sorted(name for name, each in self._repositories.items() if name > last and each.manifests)
        return found[:count]

    def tags(self, name: str) -> list[str]:
        """All tags of a repository in order; Refusal when there is no such repository."""
        with self._lock:
            return sorted(self._known(name).tags)

    def resolve(self, name: str, reference: str) -> tuple[Digest, Record]:
        """The manifest behind a tag or a digest; Refusal MANIFEST_UNKNOWN."""
        with self._lock:
            repository = self._repositories.get(name)
            if repository is not None:
                digest = Digest(reference) if digests.is_digest(reference) else repository.tags.get(reference)
                record = repository.manifests.get(digest) if digest else None
                if digest and record:
                    return digest, record
        raise Refusal("MANIFEST_UNKNOWN", f"manifest unknown: {name} has no {reference[:160]}")

    def has_blob(self, name: str, digest: Digest) -> bool:
        """Tells whether the repository has the blob, and keeps it for another grace."""
        with self._lock:
            repository = self._repositories.get(name)
            if repository is None or digest not in repository.blobs:
                return False
            repository.blobs[digest] = self._clock()
            return True

    def referrers(self, name: str, subject: Digest) -> list[tuple[Digest, Record]]:
        """The manifests that name this one as their subject."""
        with self._lock:
            repository = self._repositories.get(name)
            found = repository.referrers.get(subject, []) if repository else []
            return [(digest, repository.manifests[digest]) for digest in found] if repository else []

    # changing

    def link(self, name: str, digest: Digest) -> None:
        """Makes a blob of the store the repository's own; the caller holds a lease since before it was stored."""
        with self._lock:
            repository = self._open(name)
            if digest not in repository.blobs:
                with self._metadata.transaction() as transaction:
                    transaction.put(BLOBS, f"{name}@{digest}", b"")
            repository.blobs[digest] = self._clock()

    def mount(self, source: str, target: str, digest: Digest) -> bool:
        """Links another repository's blob; false when that has not got it."""
        with self._lock:
            if not self.has_blob(source, digest):
                return False
            self.link(target, digest)
            return True

    def put_manifest(self, name: str, digest: Digest, record: Record, tag: str, *, is_sparse: bool = False) -> None:
        """Notes a stored manifest and its tag in one transaction; Refusal when the repository lacks what it names."""
        with self._lock:
            repository = self._open(name)
            if not is_sparse:
                _check_complete(name, repository, record)
            with self._metadata.transaction() as transaction:
                transaction.put(MANIFESTS, f"{name}@{digest}", msgspec.json.encode(record))
                if tag:
                    transaction.put(TAGS, f"{name}:{tag}", digest.encode())
            self._remember(repository, digest, record)
            if tag:
                repository.tags[tag] = digest

    def drop_tag(self, name: str, tag: str) -> None:
        """Forgets a tag; Refusal when there is none."""
        with self._lock:
            self.resolve(name, tag)
            with self._metadata.transaction() as transaction:
                transaction.delete(TAGS, f"{name}:{tag}")
            del self._repositories[name].tags[tag]

    def drop_manifest(self, name: str, digest: Digest) -> None:
        """Forgets a manifest and every tag that names it; Refusal when there is none."""
        with self._lock:
            _, record = self.resolve(name, digest)
            repository = self._repositories[name]
            tags = [tag for tag, named in repository.tags.items() if named == digest]
            with self._metadata.transaction() as transaction:
                transaction.delete(MANIFESTS, f"{name}@{digest}")
                for tag in tags:
                    transaction.delete(TAGS, f"{name}:{tag}")
            for tag in tags:
                del repository.tags[tag]
            del repository.manifests[digest]
            if record.subject:
                repository.referrers[record.subject].remove(digest)

    def drop_blob(self, name: str, digest: Digest) -> None:
        """Takes a blob from a repository; Refusal when it has none."""
        with self._lock:
            if not self.has_blob(name, digest):
                raise Refusal("BLOB_UNKNOWN", f"blob unknown to registry: {digest}")
            self._unlink(name, [digest])

    # garbage

    def drop_stale(self, grace_seconds: float) -> set[Digest]:
        """Unlinks the blobs that no manifest uses and nobody asked for in that time; returns all that is needed."""
        with self._lock:
            needed: set[Digest] = set()
            for name, repository in self._repositories.items():
                used = {blob for record in repository.manifests.values() for blob in record.blobs}
                oldest = self._clock() - grace_seconds
                stale = [d for d, asked in repository.blobs.items() if d not in used and asked < oldest]
                if stale:
                    self._unlink(name, stale)
                needed.update(repository.blobs, repository.manifests)
            return needed

    # inside; all with the lock held

    def _open(self, name: str) -> _Repository:
        return self._repositories.setdefault(name, _Repository())

    def _known(self, name: str) -> _Repository:
        repository = self._repositories.get(name)
        if repository is None or not (repository.manifests or repository.blobs):
            raise Refusal("NAME_UNKNOWN", f"repository name not known to registry: {name}")
        return repository

    def _remember(self, repository: _Repository, digest: Digest, record: Record) -> None:
        if record.subject and digest not in (known := repository.referrers.setdefault(record.subject, [])):
            known.append(digest)
        repository.manifests[digest] = record

    def _unlink(self, name: str, doomed: Iterable[Digest]) -> None:
        repository = self._repositories[name]
        with self._metadata.transaction() as transaction:
            for digest in doomed:
                transaction.delete(BLOBS, f"{name}@{digest}")
        for digest in doomed:
            del repository.blobs[digest]


def _check_complete(name: str, repository: _Repository, record: Record) -> None:
    for blob in record.blobs:
        if blob not in repository.blobs:
            raise Refusal("MANIFEST_BLOB_UNKNOWN", f"manifest names a blob that {name} has not got: {blob}")
    for manifest in record.manifests:
        if manifest not in repository.manifests:
            raise Refusal("MANIFEST_BLOB_UNKNOWN", f"index names a manifest that {name} has not got: {manifest}")
