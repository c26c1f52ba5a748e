# SPDX-License-Identifier: Apache-2.0
"""The content store: blobs in `blobs/<algorithm>/<hex>` below its root, partial ones in `ingest/`.

The root is an OCI image layout as far as blobs go, so other tools can read it. A blob that has its name is complete
and verified; durable too. Garbage collection is by reachability: the caller names the roots, leases add to them.
Thread-safe. Blocking: disk only. Called by images, distribution, registry. Source: OCI image-spec v1.1 §image-layout.
"""

from __future__ import annotations

import hashlib
import os
import threading
from typing import TYPE_CHECKING, BinaryIO

from holdfast.content.ingest import Ingest
from holdfast.errors import Conflict, Corrupt, InvalidArgument, NotFound
from holdfast.oci import digest as digests
from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

_LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
_ALGORITHMS = ("sha256", "sha512")

_READ_BYTES = 1 << 20
_PASSING = ".passing"
"""Marks the partial files that nobody can resume."""


class Lease:
    """Keeps blobs from garbage collection while it is open: those added, and all that land in the meantime."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.digests: set[Digest] = set()

    def add(self, digest: Digest) -> None:
        """Protects one blob that may or may not be there yet; tells a collection under way, too."""
        self._store.protect(digest)
        self.digests.add(digest)

    def close(self) -> None:
        """Ends the protection."""
        self._store.release(self)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Store:
    """All blobs below one directory."""

    def __init__(self, root: str) -> None:
        self._blobs = os.path.join(root, "blobs")
        self._partials = os.path.join(root, "ingest")
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._leases: set[Lease] = set()
        os.makedirs(root, 0o700, exist_ok=True)
        for name in (*(f"blobs/{a}" for a in _ALGORITHMS), "ingest"):
            os.makedirs(os.path.join(root, name), 0o700, exist_ok=True)
        layout = os.path.join(root, "oci-layout")
        if not os.path.exists(layout):
            with open(layout, "wb") as file:
                file.write(_LAYOUT)

    def path(self, digest: Digest) -> str:
        """Where a blob lies or would lie."""
        checked = digests.parse(digest)
        return f"{self._blobs}/{digests.algorithm(checked)}/{digests.encoded(checked)}"

    def open(self, digest: Digest) -> BinaryIO:
        """A reader from the first byte; NotFound."""
        try:
            return open(self.path(digest), "rb", buffering=0)
        except FileNotFoundError:
            raise NotFound(f"blob {digest} not found") from None

    def read(self, digest: Digest, limit: int) -> bytes:
        """A small blob whole, its digest checked again; Corrupt when the disk has changed it, or above `limit`."""
        with self.open(digest) as file:
            if os.fstat(file.fileno()).st_size > limit:
                raise InvalidArgument(f"blob {digest} is larger than the limit of {limit} bytes")
            data = file.read()
        if hashlib.new(digests.algorithm(digest), data).hexdigest() != digests.encoded(digest):
            raise Corrupt(f"blob {digest} is damaged on disk")
        return data

    def verify(self, digest: Digest) -> None:
        """Reads a whole blob; Corrupt when the disk has changed it. It is gone then, and the next pull brings it anew."""
        hasher = digests.Hasher(digests.algorithm(digest))
        with self.open(digest) as file:
            while chunk := file.read(_READ_BYTES):
                hasher.update(chunk)
        if hasher.digest() != digest:
            self.delete(digest)
            raise Corrupt(f"blob {digest} is damaged on disk: pull the image again")

    def size(self, digest: Digest) -> int:
        """The blob's bytes; NotFound."""
        try:
            return os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            raise NotFound(f"blob {digest} not found") from None

    def has(self, digest: Digest, size: int | None = None) -> bool:
        """Tells whether the blob is there, complete; one that the disk left with another size is not. One syscall."""
        try:
            found = os.stat(self.path(digest)).st_size
        except FileNotFoundError:
            return False
        return size is None or found == size

    def ingest(
        self, ref: str, expected: Digest | None = None, size: int | None = None, *, resumable: bool = True
    ) -> Ingest:
        """Begins or resumes a blob; `ref` names the attempt (any text, the same one to resume). Conflict while busy.

        What nobody can resume, for want of a digest or by wish, is gone with the block, and at the latest with `purge`.

        with store.ingest("layer-1", expected=digest, size=5) as blob:
            blob.write(b"hello"[blob.offset :])
            blob.commit()
        """
        resumable = resumable and expected is not None
        name = hashlib.sha256(ref.encode("utf-8", "surrogateescape")).hexdigest()[:40] + ("" if resumable else _PASSING)
        if expected is not None:
            digests.parse(expected)
        with self._lock:
            if name in self._busy:
                raise Conflict(f"ingest {ref} is already under way")
            self._busy.add(name)

        def release() -> None:
            with self._lock:
                self._busy.discard(name)

        try:
            return Ingest(
                f"{self._partials}/{name}",
                expected=expected,
                size=size,
                resumable=resumable,
                publish=self._publish,
                release=release,
            )
        except BaseException:
            release()
            raise

    def put(self, data: bytes) -> Digest:
        """Stores a small document and returns its digest; nothing is written when it is there already, and sound."""
        digest = digests.of(data)
        self.protect(digest)
        if not self._holds(digest, data):
            with self.ingest(f"put-{digest}-{threading.get_ident()}", digest, len(data), resumable=False) as blob:
                blob.write(data)
                blob.commit()
        return digest

    def _holds(self, digest: Digest, data: bytes) -> bool:
        """Whether the blob is there as it should be: a damaged one is to be replaced."""
        try:
            with self.open(digest) as file:
                return file.read(len(data) + 1) == data
        except NotFound:
            return False

    def delete(self, digest: Digest) -> None:
        """Removes a blob; it is no error that it is gone."""
        try:
            os.unlink(self.path(digest))
        except FileNotFoundError:
            return

    def iter(self) -> Iterator[Digest]:
        """The digests of all blobs."""
        for algorithm in _ALGORITHMS:
            for name in os.listdir(f"{self._blobs}/{algorithm}"):
                digest = f"{algorithm}:{name}"
                if digests.is_digest(digest):
                    yield Digest(digest)

    def lease(self, *, inherits: bool = False) -> Lease:
        """Opens a lease; close it, or use it in a `with`.

        With `inherits` it begins with all that is leased now: a collector opens one before it asks which blobs are
        needed, so that a blob whose own lease ends meanwhile, because a record names it now, is not taken for garbage.
        """
        lease = Lease(self)
        with self._lock:
            if inherits:
                for other in self._leases:
                    lease.digests |= other.digests
            self._leases.add(lease)
        return lease

    def protect(self, digest: Digest) -> None:
        """Adds a blob to every open lease."""
        with self._lock:
            for lease in self._leases:
                lease.digests.add(digest)

    def release(self, lease: Lease) -> None:
        """Closes a lease (Lease.close does it)."""
        with self._lock:
            self._leases.discard(lease)

    def is_leased(self) -> bool:
        """Tells whether any lease is open."""
        return bool(self._leases)

    def collect(self, roots: Iterable[Digest]) -> list[Digest]:
        """Deletes every blob that is neither a root nor leased; returns what went."""
        kept = set(roots)
        gone: list[Digest] = []
        for digest in list(self.iter()):
            with self._lock:
                if digest in kept or any(digest in lease.digests for lease in self._leases):
                    continue
                self.delete(digest)
            gone.append(digest)
        return gone

    def purge(self, older_than: float) -> None:
        """Deletes partial files that nobody resumes, and others last written before that time (seconds of the epoch)."""
        for entry in os.scandir(self._partials):
            is_old = entry.name.endswith(_PASSING) or entry.stat(follow_symlinks=False).st_mtime < older_than
            if is_old and entry.name not in self._busy:
                os.unlink(entry.path)

    def _publish(self, partial: str, digest: Digest) -> None:
        with self._lock:
            for lease in self._leases:
                lease.digests.add(digest)
            target = self.path(digest)
            os.rename(partial, target)
        directory_fd = os.open(os.path.dirname(target), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(directory_fd)
        finally:
            os.close(directory_fd)
