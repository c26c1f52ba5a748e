# SPDX-License-Identifier: Apache-2.0
"""The story of a pull: resolve the name, read the config, land the layers, name the image.

Blocking. Whatever landed before a failure or a cancellation stays and is not fetched again; nothing is named before
everything is verified. Called by the jobs pull, authenticate and inspect_distribution of `engine`.
Source: OCI distribution-spec v1.1 §pull; the message stream of dockerd 28.5 (tests/distribution/data).
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from holdfast import content
from holdfast.distribution import answers
from holdfast.distribution import progress as messages
from holdfast.distribution import search as searching
from holdfast.distribution.answers import Refused
from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.credentials import ANONYMOUS, Credentials
from holdfast.distribution.endpoints import RegistryConfig, server_domain
from holdfast.distribution.http import Unreachable
from holdfast.distribution.layers import Images, Lander, Layer, plan_layers
from holdfast.distribution.origins import Origin, Origins
from holdfast.distribution.progress import Message, Progress, silent
from holdfast.distribution.registries import Registries
from holdfast.distribution.remote import RegistryDown, Remote
from holdfast.distribution.resolve import Resolved, look_up, resolve, translated, untranslated
from holdfast.errors import Corrupt, HoldfastError, Internal, InvalidArgument, Unauthenticated
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import platform as platforms
from holdfast.oci import strict
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

PULL_THREADS = 16

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What a reference stood for; `is_newer` is false when it stood for the same image before."""

    digest: Digest
    image_id: Digest
    is_newer: bool


@dataclass(frozen=True, slots=True)
class Look:
    """What a registry said of a name: the image that is here, or who is to be asked for it."""

    present: PullResult | None
    remotes: tuple[Remote, ...]


class LogInFailed(Unauthenticated):
    """The registry does not know the user; status 500 is what Docker's API has for it."""

    http_status = 500


class Puller:
    """Pulls for one daemon; thread-safe."""

    def __init__(
        self,
        *,
        store: content.Store,
        images: Images,
        registries: Registries,
        origins: Origins | None = None,
    ) -> None:
        self._store = store
        self._images = images
        self._registries = registries
        self._origins = origins
        self._pull_pool = ThreadPoolExecutor(PULL_THREADS, "pull")
        self._lock = threading.Lock()
        self._under_way: set[Cancellation] = set()
        self._lander = Lander(store=store, images=images, max_downloads=registries.config.max_concurrent_downloads)

    def close(self) -> None:
        """Cancels the pulls under way and ends the pools; does not wait for them."""
        with self._lock:
            under_way = list(self._under_way)
        for cancellation in under_way:
            cancellation.cancel()
        self._pull_pool.shutdown(wait=False, cancel_futures=True)
        self._lander.close()

    def reconfigure(self, config: RegistryConfig) -> None:
        """Asks other mirrors, or so many at once, from now on; pushes find the registries by the same configuration."""
        self._registries.config = config
        self._lander.resize(config.max_concurrent_downloads)

    def look(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials = ANONYMOUS,
        cancellation: Cancellation | None = None,
    ) -> Look:
        """Whether the name still stands for the image that is here, whole; one HEAD, whatever the image weighs.

        Those where nobody listens are not to be asked again; whatever else goes wrong is for the others to say.
        Raises Unavailable when nobody listens at all, Cancelled.
        """
        reference = reference.with_default_tag()
        remotes = tuple(self._registries.readers(reference, credentials))
        image_id = self._images.owner_of(reference)
        if image_id is None:
            return Look(None, remotes)
        wanted = platform or platforms.of_machine(os.uname().machine)
        failure: Unreachable | None = None
        with self._tracked(cancellation) as tracked:
            for number, remote in enumerate(remotes):
                tracked.check()
                try:
                    digest = remote.peek(reference.digest or reference.tag or "")
                except Unreachable as error:
                    if not error.never_connected:
                        return Look(None, remotes[number:])
                    failure = error
                    continue
                except HoldfastError:
                    return Look(None, remotes[number:])
                if not self._is_present(image_id, reference, digest, wanted):
                    return Look(None, remotes[number:])
                return Look(PullResult(digest=Digest(digest), image_id=image_id, is_newer=False), ())
        raise failure or Internal(f"no endpoint for {reference.familiar}")

    def pull(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials = ANONYMOUS,
        progress: Progress = silent,
        cancellation: Cancellation | None = None,
        look: Look | None = None,
    ) -> PullResult:
        """Makes the image present under the reference; the progress stream is Docker's, ending with `Status:`.

        `look` is what has been seen just now, if anything; with that of a present image this does not block. `progress`
        is called from several threads. Raises NotFound, Unauthenticated, Unavailable, Corrupt, Exhausted,
        InvalidArgument or Cancelled; whoever gets an error before the first message can still choose an HTTP status.
        """
        reference = reference.with_default_tag()
        with self._tracked(cancellation) as tracked:
            result = self._pull_one(reference, platform, credentials, progress, tracked, look)
        progress(_outcome(reference, is_newer=result.is_newer))
        return result

    def pull_all(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials = ANONYMOUS,
        progress: Progress = silent,
        cancellation: Cancellation | None = None,
    ) -> list[PullResult]:
        """Every tag of the repository, one after the other; otherwise as `pull`."""
        with self._tracked(cancellation) as tracked:
            results = [
                self._pull_one(reference.with_tag(tag), platform, credentials, progress, tracked)
                for tag in self.tags(reference, credentials=credentials, cancellation=tracked)
            ]
        progress(_outcome(reference, is_newer=any(result.is_newer for result in results)))
        return results

    def describe(
        self, reference: Reference, *, credentials: Credentials = ANONYMOUS
    ) -> tuple[Descriptor, list[Platform]]:
        """What the registry has under the reference, and for which platforms, without pulling it."""
        cancellation = Cancellation()
        remotes = self._registries.readers(reference, credentials)
        remote, top = look_up(remotes, reference.with_default_tag(), cancellation, untranslated)
        parsed = documents.decode(top.data, top.media_type)
        descriptor = Descriptor(top.media_type or parsed.media_type, top.digest, len(top.data))
        if isinstance(parsed, documents.Index):
            return descriptor, [entry.platform for entry in parsed.manifests if entry.platform is not None]
        data = remote.small_blob(parsed.config.digest, self._registries.config.documents.config_bytes, cancellation)
        return descriptor, [documents.decode_config(data).platform]

    def log_in(self, credentials: Credentials) -> None:
        """Asks the registry of `server_address` whether it knows the user; Unauthenticated when not."""
        domain = server_domain(credentials.server_address)
        if not domain.isprintable() or any(character in domain for character in ' "<>\\^`{|}'):
            raise InvalidArgument(f"unable to parse server address: {domain!r} has a character that no host name has")
        failure: HoldfastError | None = None
        for remote in self._registries.writers(Reference(domain, ""), credentials):
            try:
                remote.ping(Cancellation())
            except Unreachable as error:
                failure = error
            except Refused as refusal:
                raise LogInFailed(
                    f"login attempt to {remote.endpoint.api}/ failed with status: {answers.status_line(refusal.status)}"
                ) from refusal
            else:
                return
        raise failure or Internal(f"no endpoint for {domain}")

    def search(self, term: str, limit: int, credentials: Credentials) -> tuple[searching.Found, ...]:
        """What an index knows under a term."""
        return searching.search(self._registries, term, limit, credentials)

    def start(self, work: Callable[[], R]) -> Future[R]:
        """Runs a `pull` or `pull_all` in a thread kept for pulls, so that long ones keep nobody else waiting."""
        try:
            return self._pull_pool.submit(work)
        except RuntimeError:  # the pool was shut down: the daemon stops
            raise Cancelled from None

    def tags(
        self, reference: Reference, *, credentials: Credentials = ANONYMOUS, cancellation: Cancellation | None = None
    ) -> list[str]:
        """Every tag of the repository, for `pull --all-tags`."""
        cancellation = cancellation or Cancellation()
        failure: HoldfastError | None = None
        for remote in self._registries.readers(reference, credentials):
            try:
                return remote.tags(cancellation)
            except (Unreachable, RegistryDown) as error:
                failure = error
            except Refused as refusal:
                raise translated(refusal, reference) from refusal
        raise failure or Internal(f"no endpoint for {reference.familiar}")

    def _pull_one(
        self,
        reference: Reference,
        platform: Platform | None,
        credentials: Credentials,
        progress: Progress,
        cancellation: Cancellation,
        look: Look | None = None,
    ) -> PullResult:
        look = look or self.look(reference, platform=platform, credentials=credentials, cancellation=cancellation)
        if look.present is not None:
            progress(_heading(reference))
            progress(messages.status(f"Digest: {look.present.digest}"))
            return look.present
        wanted = platform or platforms.of_machine(os.uname().machine)
        remotes = list(look.remotes)
        is_told = False
        while True:
            resolved = resolve(remotes, reference, wanted, cancellation)
            if not is_told:
                progress(_heading(reference))
                is_told = True
            try:
                return self._land(resolved, reference, progress, cancellation)
            except Cancelled:
                raise
            except HoldfastError:
                # a mirror may have the manifest and not the layers, or damaged ones: what it brought stays
                if not resolved.remote.endpoint.is_mirror:
                    raise
                remotes = remotes[remotes.index(resolved.remote) + 1 :]

    def _is_present(self, image_id: Digest, reference: Reference, digest: str, wanted: Platform) -> bool:
        if not digests.is_digest(digest):
            return False
        pinned = reference.without_suffix().with_digest(Digest(digest))
        if self._images.owner_of(pinned) != image_id or not self._images.is_whole(image_id):
            return False
        has = self._images.platform_of(image_id)
        return has is not None and platforms.rank(wanted, has) == 0

    def _land(
        self, resolved: Resolved, reference: Reference, progress: Progress, cancellation: Cancellation
    ) -> PullResult:
        """Brings config and layers of what was resolved, and names the image."""
        image_id = resolved.manifest.config.digest
        with self._store.lease() as lease:
            for descriptor in (resolved.manifest.config, *resolved.manifest.layers):
                lease.add(descriptor.digest)
            config = self._config_of(resolved, reference, cancellation)
            layers = plan_layers(resolved.manifest, config)
            unpacked: list[Layer] = []
            if not self._images.is_whole(image_id):
                unpacked = self._lander.land(resolved.remote, layers, progress, cancellation)
            is_newer = self._register(resolved, reference)
        if self._origins is not None and not resolved.remote.endpoint.is_mirror:
            self._origins.add(
                (layer.diff_id, Origin.at(layer.descriptor, reference, is_verified=layer in unpacked))
                for layer in layers
            )
        progress(messages.status(f"Digest: {resolved.top.digest}"))
        return PullResult(digest=resolved.top.digest, image_id=image_id, is_newer=is_newer)

    @contextmanager
    def _tracked(self, cancellation: Cancellation | None) -> Generator[Cancellation]:
        """What `close` cancels until the block ends; inside another block of the same pull, until that one does."""
        tracked = cancellation or Cancellation()
        with self._lock:
            is_outermost = tracked not in self._under_way
            self._under_way.add(tracked)
        try:
            yield tracked
        finally:
            if is_outermost:
                with self._lock:
                    self._under_way.discard(tracked)

    def _config_of(self, resolved: Resolved, reference: Reference, cancellation: Cancellation) -> documents.ImageConfig:
        """The image config, from the store or the registry; kept before anything refers to it."""
        descriptor = resolved.manifest.config
        if descriptor.size > self._registries.config.documents.config_bytes:
            raise InvalidArgument(
                f"image config {descriptor.digest} declares {descriptor.size} bytes ({strict.OPTION})"
            )
        data = self._kept(descriptor)
        if data is None:
            try:
                data = resolved.remote.small_blob(descriptor.digest, descriptor.size, cancellation)
            except Refused as refusal:
                raise translated(refusal, reference) from refusal
        if len(data) != descriptor.size:
            raise Corrupt(f"image config {descriptor.digest} has {len(data)} bytes, not {descriptor.size}")
        config = documents.decode_config(data)
        self._store.put(data)
        return config

    def _kept(self, descriptor: Descriptor) -> bytes | None:
        """A document of the store; None when it is not there, or not as it should be."""
        if not self._store.has(descriptor.digest, descriptor.size):
            return None
        try:
            return self._store.read(descriptor.digest, strict.STORED_MAX_BYTES)
        except Corrupt:
            return None

    def _register(self, resolved: Resolved, reference: Reference) -> bool:
        for document in (resolved.top, resolved.document):
            self._store.put(document.data)
        return self._images.register(reference, top=resolved.top.digest, manifest=resolved.document.digest)


def _heading(reference: Reference) -> Message:
    label = reference.tag if reference.tag and not reference.digest else reference.familiar
    return messages.status(f"Pulling from {reference.path}", label)


def _outcome(reference: Reference, *, is_newer: bool) -> Message:
    did = "Downloaded newer image" if is_newer else "Image is up to date"
    return messages.status(f"Status: {did} for {reference.familiar}")
