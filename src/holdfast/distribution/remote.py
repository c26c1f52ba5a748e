# SPDX-License-Identifier: Apache-2.0
"""One repository at one endpoint: its manifests, blobs and tags, with authentication and patience.

Reading is here; `uploads` and `push` write, through `exchange`. Blocking, thread-safe. Everything that comes back from
here is still a stranger's, except that a manifest's digest is computed, not believed.
Called by `distribution.pull`, `blobs`, `push` and `uploads`. Source: OCI distribution-spec v1.1; security.md §2.2.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import msgspec

from holdfast.distribution import addresses, answers, retry
from holdfast.distribution.answers import Refused, Transient
from holdfast.distribution.auth import Authenticator
from holdfast.distribution.cancellation import Cancellation
from holdfast.distribution.credentials import is_same_origin
from holdfast.distribution.endpoints import Endpoint
from holdfast.distribution.http import DEFAULT_TRUST, HTTP, READ_SECONDS, Answer, Body, Unreachable
from holdfast.errors import Corrupt, InvalidArgument, Unavailable
from holdfast.oci import digest as digests
from holdfast.oci import media, strict
from holdfast.oci.digest import Digest

R = TypeVar("R")

PULL = "pull"
PUSH = "pull,push"
TAGS_MAX_BYTES = 1 << 20
TAGS_MAX_PAGES = 200
_ACCEPT = ", ".join([media.OCI_INDEX, media.OCI_MANIFEST, media.DOCKER_LIST, media.DOCKER_MANIFEST, "*/*;q=0.1"])
_DOCUMENTS = media.INDEXES | media.MANIFESTS
_UNTYPED = frozenset({"", "application/json", "application/octet-stream", "text/plain"})
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_NEXT = re.compile(r'<([^>]{1,4096})>\s*;\s*rel="?next"?', re.ASCII)


class RegistryDown(Unavailable):
    """Every attempt failed; says what was tried."""

    http_status = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A manifest or index as sent, with the digest of its bytes; `media_type` is empty when the answer said none."""

    data: bytes
    media_type: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class BlobAnswer:
    """A blob's bytes on their way; those before `skip` are known already, `total` is None when not announced."""

    answer: Answer
    skip: int
    total: int | None


class _Tags(msgspec.Struct):
    tags: list[str] | None = None


class Remote:
    """One repository; `actions` is what tokens are asked for (PULL or PUSH)."""

    def __init__(
        self,
        *,
        http: HTTP,
        endpoint: Endpoint,
        path: str,
        authenticator: Authenticator,
        policy: retry.Policy,
        actions: str = PULL,
        clock: Callable[[], float] = time.monotonic,
        limits: strict.Limits = strict.DEFAULT_LIMITS,
    ) -> None:
        self._http = http
        self._limits = limits
        self._actions = actions
        self._authenticator = authenticator
        self.path = path
        self._clock = clock
        self.endpoint = endpoint
        self.policy = policy

    def manifest(self, name: str, cancellation: Cancellation) -> Document:
        """The document behind a tag or a digest; raises Corrupt when its bytes do not have the digest asked for."""
        url = self._reading(f"{self.path}/manifests/{name}")

        def attempt() -> Document:
            with self.exchange("GET", url, {"Accept": _ACCEPT}) as answer:
                raise_for_status(answer, (200,))
                return _document(answer, name, self._limits)

        return self.persist(f"manifest {name}", attempt, cancellation)

    def head_manifest(self, name: str, cancellation: Cancellation) -> str:
        """The digest that the registry says a tag has now; empty when it does not say."""
        url = self._reading(f"{self.path}/manifests/{name}")

        def attempt() -> str:
            with self.exchange("HEAD", url, {"Accept": _ACCEPT}) as answer:
                raise_for_status(answer, (200,))
                return answer.headers.get("Docker-Content-Digest", "")

        return self.persist(f"manifest {name}", attempt, cancellation)

    def peek(self, name: str) -> str:
        """The digest that a tag or digest leads to now, asked once; empty when the registry does not say. Unreachable."""
        with self.exchange("HEAD", self._reading(f"{self.path}/manifests/{name}"), {"Accept": _ACCEPT}) as answer:
            return answer.headers.get("Docker-Content-Digest", "") if answer.status == 200 else ""

    def head_blob(self, digest: Digest, cancellation: Cancellation) -> int | None:
        """The size of a blob; None when the repository has not got it, or does not say how large it is."""

        def attempt() -> int | None:
            with self.exchange("HEAD", self.blob_url(digest), {}) as answer:
                if answer.status == 404:
                    return None
                raise_for_status(answer, (200,))
                return answer.content_length

        return self.persist(f"blob {digest}", attempt, cancellation)

    def small_blob(self, digest: Digest, limit: int, cancellation: Cancellation) -> bytes:
        """A blob that fits in memory, verified."""
        url = self.blob_url(digest)

        def attempt() -> bytes:
            with self.exchange("GET", url, {}) as answer:
                raise_for_status(answer, (200,))
                data = answer.read(limit)
            if digests.of(data) != digest and digests.algorithm(digest) == digests.ALGORITHM:
                raise Corrupt(f"blob {digest} from {self.endpoint.host} has the digest {digests.of(data)}")
            return data

        return self.persist(f"blob {digest}", attempt, cancellation)

    def blob(self, digest: Digest, offset: int) -> BlobAnswer:
        """Opens a blob from an offset, in one attempt; a registry that ignores the range is read from the start."""
        headers = {"Range": f"bytes={offset}-"} if offset else {}
        answer = self.exchange("GET", self.blob_url(digest), headers)
        try:
            if answer.status == 416:
                raise Refused(f"no bytes from {offset} on", status=416)
            raise_for_status(answer, (200, 206))
            if answer.status == 200:
                return BlobAnswer(answer, offset, answer.content_length)
            found = _CONTENT_RANGE.fullmatch(answer.headers.get("Content-Range", "").strip())
            if found is None or int(found[1]) > offset:
                raise Transient(f"{self.endpoint.host} answered another range than the one asked for")
            return BlobAnswer(answer, offset - int(found[1]), None if found[3] == "*" else int(found[3]))
        except BaseException:
            answer.close()
            raise

    def ping(self, cancellation: Cancellation) -> None:
        """Returns when the registry accepts the user, or wants none; Unauthenticated, Refused, RegistryDown."""

        def attempt() -> None:
            with self.exchange("GET", f"{self.endpoint.api}/", {}) as answer:
                raise_for_status(answer, (200,))

        self.persist("log-in", attempt, cancellation)

    def probe(self, cancellation: Cancellation) -> None:
        """Returns when a registry answers, whether or not it wants to know who asks; Unreachable, RegistryDown."""
        url = f"{self.endpoint.api}/"

        def attempt() -> None:
            with self._http.exchange(
                "GET", url, headers=dict(self.endpoint.headers), trust=self.endpoint.trust
            ) as answer:
                if answer.status != 401:
                    raise_for_status(answer, (200,))

        self.persist("version check", attempt, cancellation)

    def tags(self, cancellation: Cancellation) -> list[str]:
        """Every tag of the repository; bounded."""
        url = self._reading(f"{self.path}/tags/list")
        tags: list[str] = []
        for _ in range(TAGS_MAX_PAGES):
            page, url = self.persist("list of tags", partial(self._tags_page, url), cancellation)
            tags.extend(page)
            if not url:
                break
        return tags

    def persist(self, what: str, attempt: Callable[[], R], cancellation: Cancellation) -> R:
        """Runs `attempt` until it succeeds, is refused, or patience ends (RegistryDown)."""
        series = retry.Series(self.policy, self._clock())
        while True:
            cancellation.check()
            try:
                return attempt()
            except (Transient, Unreachable) as failure:
                if isinstance(failure, Unreachable) and (failure.is_final or failure.never_connected):
                    raise
                self.rest(series, what, failure, cancellation)

    def rest(
        self, series: retry.Series, what: str, failure: Transient | Unreachable, cancellation: Cancellation
    ) -> None:
        """Waits before the next attempt, or raises RegistryDown when the series is at its end."""
        wish = failure.retry_after if isinstance(failure, Transient) else None
        delay = series.failed(failure.message, self._clock(), random.random(), wish)
        if delay is None:
            raise RegistryDown(f"{what} from {self.endpoint.host}: {series.describe(self._clock())}") from failure
        cancellation.sleep(delay)

    def blob_url(self, digest: Digest) -> str:
        """Where the repository has or would have a blob."""
        return self._reading(f"{self.path}/blobs/{digests.parse(digest)}")

    def _reading(self, path: str) -> str:
        """A mirror of several registries is told which one is meant, as containerd does."""
        query = f"?ns={self.endpoint.namespace}" if self.endpoint.namespace else ""
        return f"{self.endpoint.api}/{path}{query}"

    def _tags_page(self, url: str) -> tuple[list[str], str]:
        with self.exchange("GET", url, {"Accept": "application/json"}) as answer:
            raise_for_status(answer, (200,))
            document = strict.decode(answer.read(TAGS_MAX_BYTES), _Tags, "list of tags", max_bytes=TAGS_MAX_BYTES)
            found = _NEXT.search(answer.headers.get("Link", ""))
        following = addresses.join(url, found[1]) if found else ""
        return document.tags or [], following if is_same_origin(url, following) else ""

    def exchange(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        body: Body = None,
        *,
        also_scope: str = "",
        timeout_seconds: float = READ_SECONDS,
    ) -> Answer:
        """Sends with what is known, answers one challenge, and sends again; to another origin it sends no secret.

        `also_scope` is asked for beside this repository's own scope.
        """
        is_ours = url.startswith(f"{self.endpoint.api}/") or is_same_origin(self.endpoint.url, url)

        def send(authorization: str) -> Answer:
            sent = {**dict(self.endpoint.headers), **headers} if is_ours else dict(headers)
            if authorization:
                sent["Authorization"] = authorization
            trust = self.endpoint.trust if is_ours else DEFAULT_TRUST
            return self._http.exchange(
                method, url, headers=sent, trust=trust, body=body, timeout_seconds=timeout_seconds
            )

        if not is_ours:
            return send("")
        own = f"repository:{self.path}:{self._actions}" if self.path else ""
        scope = f"{own} {also_scope}".strip()
        value = self._authenticator.authorization(scope)
        answer = send(value)
        if answer.status != 401:
            return answer
        with answer:
            demand = answer.headers.get("WWW-Authenticate", "")
            refusal = answer.read(answers.ERROR_BODY_MAX_BYTES)
        if not demand:
            raise answers.failure(401, refusal)
        return send(self._authenticator.answer(demand, scope, value, url))


def raise_for_status(answer: Answer, wanted: tuple[int, ...]) -> None:
    """Raises what an unwanted status means, with the text of the answer's body: Refused or Transient."""
    if answer.status in wanted:
        return
    later = retry.retry_after_seconds(answer.headers.get("Retry-After"))
    try:
        body = answer.read(answers.ERROR_BODY_MAX_BYTES)
    except InvalidArgument:
        body = b""
    raise answers.failure(answer.status, body, later)


def _document(answer: Answer, name: str, limits: strict.Limits) -> Document:
    """Reads a manifest; refuses what is too large, of a foreign type, or not what the headers or the name say."""
    try:
        data = answer.read(limits.manifest_bytes)
    except InvalidArgument as error:
        raise InvalidArgument(f"{error.message} ({strict.OPTION})") from None
    media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if media_type not in _DOCUMENTS and media_type not in _UNTYPED:
        if media_type in (media.DOCKER_MANIFEST_V1, media.DOCKER_MANIFEST_V1_SIGNED):
            raise InvalidArgument(f"media type {media_type} is no longer supported: push the image with a newer client")
        raise InvalidArgument(f"unsupported manifest media type: {answers.printable(media_type)}")
    digest = digests.of(data)
    claimed = answer.headers.get("Docker-Content-Digest", "")
    for expected in (name, claimed):
        if digests.is_digest(expected):
            actual = digest if expected.startswith(digests.ALGORITHM + ":") else _hashed(data, expected)
            if actual != expected:
                raise Corrupt(f"manifest verification failed for digest {expected}: the bytes have {actual}")
    if claimed and not digests.is_digest(claimed):
        raise Corrupt(f"the registry sent an invalid digest for manifest {name}: {answers.printable(claimed)!r}")
    pinned = Digest(name) if digests.is_digest(name) else digest
    return Document(data=data, media_type="" if media_type in _UNTYPED else media_type, digest=pinned)


def _hashed(data: bytes, like: str) -> Digest:
    hasher = digests.Hasher(like.partition(":")[0])
    hasher.update(data)
    return hasher.digest()
