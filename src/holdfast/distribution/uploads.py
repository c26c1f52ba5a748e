# SPDX-License-Identifier: Apache-2.0
"""One blob on its way out: not sent when the registry has it, mounted when a neighbour has it, else sent in chunks.

An upload that breaks off is asked how far it came and goes on from there, in the same push or, a large one, in a later one
(`open_uploads`). Memory: one chunk of the file. Called by `distribution.push`, in the threads of its upload pool.
Source: OCI distribution-spec v1.1 §pushing-blobs; the status request of distribution's "Blob Upload".
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

from holdfast import content
from holdfast.distribution import addresses, retry
from holdfast.distribution.answers import Refused, Transient, printable
from holdfast.distribution.cancellation import Cancellation
from holdfast.distribution.credentials import is_same_origin
from holdfast.distribution.endpoints import is_loopback
from holdfast.distribution.http import CHUNK_BYTES, Answer, Unreachable
from holdfast.distribution.open_uploads import Claim, OpenUploads
from holdfast.distribution.remote import PULL, Remote, raise_for_status
from holdfast.errors import InvalidArgument, Unauthenticated
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest

PART_BYTES = 64 << 20
"""What one request carries at most, and so what a broken line costs at a registry that keeps no half requests."""
WORTH_REMEMBERING_BYTES = 1 << 20
_SLOWEST_BYTES_PER_SECOND = 8 << 20
_RANGE = re.compile(r"(?:bytes=)?0-(\d{1,18})", re.ASCII)
_GONE = frozenset({404, 410, 416})


@dataclass(slots=True)
class _Session:
    """An upload that the registry has open: where to send, and how much it has."""

    location: str
    offset: int = 0


def has_blob(remote: Remote, descriptor: Descriptor, cancellation: Cancellation) -> bool:
    """Asks whether the repository has the blob, in its size."""
    return remote.head_blob(descriptor.digest, cancellation) == descriptor.size


def mount(remote: Remote, digest: Digest, source: str, cancellation: Cancellation) -> bool:
    """Asks for the blob of another repository; false when the registry would not, for whatever reason."""
    cancellation.check()
    url = f"{_uploads_url(remote)}?mount={digest}&from={source}"
    try:
        with remote.exchange("POST", url, {}, b"", also_scope=f"repository:{source}:{PULL}") as answer:
            if answer.status == 202:
                _abandon(remote, _location(url, answer))
            return answer.status == 201
    except (Refused, Transient, Unreachable, Unauthenticated):
        return False


def _abandon(remote: Remote, location: str) -> None:
    """Tells the registry that an upload it opened is not wanted; it forgets it in time anyway."""
    with remote.exchange("DELETE", location, {}):
        return


def upload(
    remote: Remote,
    descriptor: Descriptor,
    store: content.Store,
    open_uploads: OpenUploads,
    told: Callable[[int], None],
    cancellation: Cancellation,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Sends the blob; `told` gets the bytes sent so far. Raises RegistryDown, Refused, Cancelled.

    Corrupt when the registry refused what our disk has changed.
    """
    with open_uploads.claim(f"{remote.endpoint.api}/{remote.path}", descriptor.digest) as claim:
        try:
            _Upload(remote, descriptor, store, claim, told, cancellation, clock).run()
        except Refused as refusal:
            claim.drop()
            if refusal.status == 400:
                store.verify(descriptor.digest)
            raise
        claim.drop()


class _Upload:
    """One blob's way to one repository, through as many sessions as it takes."""

    def __init__(
        self,
        remote: Remote,
        descriptor: Descriptor,
        store: content.Store,
        claim: Claim,
        told: Callable[[int], None],
        cancellation: Cancellation,
        clock: Callable[[], float],
    ) -> None:
        self._remote = remote
        self._descriptor = descriptor
        self._store = store
        self._claim = claim
        self._told = told
        self._cancellation = cancellation
        self._clock = clock
        self._session = _Session(claim.location) if claim.location else None
        self._is_to_ask = self._is_inherited = self._session is not None

    def run(self) -> None:
        """Returns when the registry has verified the blob."""
        series = retry.Series(self._remote.policy, self._clock())
        while True:
            self._cancellation.check()
            before = self._session.offset if self._session else 0
            try:
                self._attempt()
                return
            except Refused as refusal:
                if self._session is None or not (self._is_inherited or refusal.status in _GONE):
                    raise
                self._claim.drop()
                self._session = None
                if self._is_inherited:
                    self._is_inherited = False
                    continue
                failure: Transient | Unreachable = Transient(refusal.message)
            except (Transient, Unreachable) as error:
                self._cancellation.check()
                if isinstance(error, Unreachable) and error.is_final:
                    raise
                failure = error
            self._is_to_ask = True
            if self._session is not None and self._session.offset > before:
                series.progressed(self._clock())
            self._remote.rest(series, f"upload of blob {self._descriptor.digest}", failure, self._cancellation)

    def _attempt(self) -> None:
        """Opens or takes up a session and sends all that is missing."""
        size = self._descriptor.size
        if self._session is None:
            self._session = _begin(self._remote)
        elif self._is_to_ask:
            self._session = _ask(self._remote, self._session)
            if self._session.offset > size:
                raise Refused("the upload is longer than the blob", status=416)
            self._told(self._session.offset)
        self._is_to_ask = False
        self._keep(self._session)
        while self._session.offset < size or not size:
            if _send_part(self._remote, self._descriptor, self._store, self._session, self._told, self._cancellation):
                return
            self._keep(self._session)
        _finish(self._remote, self._descriptor, self._session)

    def _keep(self, session: _Session) -> None:
        if self._descriptor.size >= WORTH_REMEMBERING_BYTES:
            self._claim.keep(session.location)


def _begin(remote: Remote) -> _Session:
    url = _uploads_url(remote)
    with remote.exchange("POST", url, {}, b"") as answer:
        raise_for_status(answer, (202,))
        return _Session(_location(url, answer))


def _ask(remote: Remote, session: _Session) -> _Session:
    """How far the upload came; Refused (404) when the registry has forgotten it, Transient while it reads the old line."""
    with remote.exchange("GET", session.location, {}) as answer:
        if answer.status == 409:
            raise Transient("an earlier request is still writing to the upload")
        raise_for_status(answer, (204, 200))
        return _Session(_location(session.location, answer), _received(answer))


def _send_part(
    remote: Remote,
    descriptor: Descriptor,
    store: content.Store,
    session: _Session,
    told: Callable[[int], None],
    cancellation: Cancellation,
) -> bool:
    """Sends the next bytes; true when they were the last and the registry has verified the blob."""
    begin = session.offset
    end = min(begin + PART_BYTES, descriptor.size)
    is_last = end == descriptor.size
    headers = {"Content-Type": "application/octet-stream", "Content-Length": str(end - begin)}
    if begin or not is_last:
        headers["Content-Range"] = f"{begin}-{end - 1}"

    def body() -> Iterator[bytes]:
        with store.open(descriptor.digest) as file:
            file.seek(begin)
            sent = begin
            while sent < end:
                cancellation.check()
                data = file.read(min(CHUNK_BYTES, end - sent))
                if not data:
                    raise InvalidArgument(f"blob {descriptor.digest} is shorter on disk than {descriptor.size} bytes")
                yield data
                sent += len(data)
                told(sent)

    if is_last:
        url = _with_digest(session.location, descriptor.digest)
        patience = 60 + descriptor.size / _SLOWEST_BYTES_PER_SECOND  # the registry hashes the whole blob now
        with remote.exchange("PUT", url, headers, body, timeout_seconds=patience) as answer:
            raise_for_status(answer, (201,))
        return True
    with remote.exchange("PATCH", session.location, headers, body, timeout_seconds=60) as answer:
        raise_for_status(answer, (202,))
        session.location = _location(session.location, answer)
        session.offset = min(end, _received(answer)) if "Range" in answer.headers else end
    return False


def _finish(remote: Remote, descriptor: Descriptor, session: _Session) -> None:
    """Closes an upload that turned out to be complete."""
    with remote.exchange("PUT", _with_digest(session.location, descriptor.digest), {}, b"") as answer:
        raise_for_status(answer, (201,))


def _uploads_url(remote: Remote) -> str:
    return f"{remote.endpoint.api}/{remote.path}/blobs/uploads/"


def _received(answer: Answer) -> int:
    """The bytes that the registry has, from its `Range`; distribution says `0-0` for none as for one."""
    found = _RANGE.fullmatch(answer.headers.get("Range", "").strip())
    last = int(found[1]) if found else 0
    return last + 1 if last else 0


def _location(url: str, answer: Answer) -> str:
    """Where the upload goes on; another host only over https, as the layer may be private."""
    given = answer.headers.get("Location", "")
    target = addresses.join(url, given) if given else ""
    parts = urlsplit(target)
    is_downgrade = parts.scheme == "http" and not is_same_origin(url, target) and not is_loopback(parts.hostname or "")
    if not target or is_downgrade:
        where = f"{parts.scheme}://{parts.netloc}" if target else printable(given.partition("?")[0])
        raise Unreachable(f"{urlsplit(url).netloc} names no usable place for the upload: {where!r}", is_final=True)
    return target


def _with_digest(location: str, digest: Digest) -> str:
    parts = urlsplit(location)
    query = f"{parts.query}&digest={digest}" if parts.query else f"digest={digest}"
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
