# SPDX-License-Identifier: Apache-2.0
"""The story of a push: find the registry, bring the layers there, then the config, then the manifest under its tag.

What was pulled or loaded compressed goes out byte for byte; a plain layer (committed, imported, loaded so) is compressed
first, and the manifest says so. A name whose index is here complete is pushed with all its platforms. Layers travel in
parallel, each once. Blocking. Called by the job push of `engine`.
Source: OCI distribution-spec v1.1 §push; the message stream of dockerd 28.5 (tests/distribution/data).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Protocol, TypeVar

import msgspec

from holdfast import content
from holdfast.distribution import packing, uploads
from holdfast.distribution import progress as messages
from holdfast.distribution.auth import NoCredentials
from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.credentials import ANONYMOUS, Credentials
from holdfast.distribution.http import Unreachable
from holdfast.distribution.open_uploads import OpenUploads
from holdfast.distribution.origins import Origin, Origins
from holdfast.distribution.progress import Meter, Progress, silent
from holdfast.distribution.push_plan import (
    Image,
    Layer,
    can_stand_for,
    find_tree,
    forms,
    instead_of_index,
    layers_of,
    neighbours,
    plan_layers,
    plan_platform,
)
from holdfast.distribution.registries import Registries
from holdfast.distribution.remote import RegistryDown, Remote, raise_for_status
from holdfast.errors import Corrupt, HoldfastError, Internal, InvalidArgument, NotFound
from holdfast.images.indexes import Node
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

PUSH_THREADS = 4
R = TypeVar("R")


class Images(Protocol):
    """What a push needs of `images.Store`."""

    def owner_of(self, reference: Reference) -> Digest | None:
        """The image that has the name."""
        ...

    def tags_of(self, repository: Reference) -> list[Reference]:
        """All tags of a repository."""
        ...

    def get(self, name: str) -> Image:
        """The image by its id."""
        ...

    def index_of(self, reference: Reference) -> Digest | None:
        """The index that a name stands for beside its image."""
        ...

    def register(self, reference: Reference, *, top: Digest, manifest: Digest) -> bool:
        """Notes under which digest a repository has the image."""
        ...


class Pusher:
    """Pushes for one daemon; thread-safe."""

    def __init__(
        self,
        *,
        store: content.Store,
        images: Images,
        registries: Registries,
        origins: Origins,
        open_uploads: OpenUploads,
    ) -> None:
        self._store = store
        self._open_uploads = open_uploads
        self._images = images
        self._registries = registries
        self._origins = origins
        self._limit = registries.config.max_concurrent_uploads
        self._push_pool = ThreadPoolExecutor(PUSH_THREADS, "push")
        self._upload_pool = ThreadPoolExecutor(self._limit, "upload")
        self._lock = threading.Lock()
        self._under_way: set[Cancellation] = set()

    def resize(self, max_uploads: int) -> None:
        """Has so many uploads at once from now on; the old pool ends with its last one."""
        self._limit = max_uploads
        self._upload_pool = ThreadPoolExecutor(max_uploads, "upload")

    def close(self) -> None:
        """Cancels the pushes under way and ends the pools; does not wait for them."""
        with self._lock:
            under_way = list(self._under_way)
        for cancellation in under_way:
            cancellation.cancel()
        self._push_pool.shutdown(wait=False, cancel_futures=True)
        self._upload_pool.shutdown(wait=False, cancel_futures=True)

    def start(self, work: Callable[[], R]) -> Future[R]:
        """Runs a `push` in a thread kept for pushes."""
        try:
            return self._push_pool.submit(work)
        except RuntimeError:  # the pool was shut down: the daemon stops
            raise Cancelled from None

    def push(
        self,
        reference: Reference,
        *,
        platform: Platform | None = None,
        credentials: Credentials = ANONYMOUS,
        progress: Progress = silent,
        cancellation: Cancellation | None = None,
    ) -> list[Digest]:
        """Pushes the tag, or without one every tag of the repository; returns the manifests' digests.

        With a platform only that one of an index goes. `progress` is called from several threads. Raises NotFound in
        Docker's words, and whatever the registry says.
        """
        cancellation = cancellation or Cancellation()
        progress(messages.status(f"The push refers to repository [{reference.name}]"))
        if reference.digest is not None:
            raise InvalidArgument("cannot push a digest reference")
        wanted = self._wanted(reference)
        with self._lock:
            self._under_way.add(cancellation)
        try:
            remote = self._reach(reference, credentials, cancellation)
            with self._store.lease():
                return [self._push_one(remote, tag, image, platform, progress, cancellation) for tag, image in wanted]
        except NoCredentials:
            raise NoCredentials("no basic auth credentials") from None
        finally:
            with self._lock:
                self._under_way.discard(cancellation)

    def _wanted(self, reference: Reference) -> list[tuple[Reference, Digest]]:
        known = self._images.tags_of(reference.without_suffix())
        if not known:
            raise NotFound(f"An image does not exist locally with the tag: {reference.familiar_name}")
        wanted = [reference] if reference.tag is not None else known
        found = [(each, image) for each in wanted if (image := self._images.owner_of(each)) is not None]
        if not found:
            raise NotFound(f"tag does not exist: {reference.familiar}")
        return found

    def _reach(self, reference: Reference, credentials: Credentials, cancellation: Cancellation) -> Remote:
        """The registry at the first address where one answers."""
        failure: HoldfastError | None = None
        for remote in self._registries.writers(reference, credentials):
            try:
                remote.probe(cancellation)
            except (Unreachable, RegistryDown) as error:
                failure = error
            else:
                return remote
        raise failure or Internal(f"no endpoint for {reference.familiar}")

    def _push_one(
        self,
        remote: Remote,
        reference: Reference,
        image_id: Digest,
        platform: Platform | None,
        progress: Progress,
        cancellation: Cancellation,
    ) -> Digest:
        image = self._images.get(image_id)
        tree = find_tree(self._images.index_of(reference), self._store)
        if tree is not None and (platform is not None or tree.is_complete(self._store)):
            nodes = tree.nodes if platform is None else (plan_platform(tree, platform, reference, self._store),)
            top = self._push_nodes(remote, reference, nodes, progress, cancellation)
        else:
            top = self._push_image(remote, reference, image, progress, cancellation)
            if tree is not None:
                progress(instead_of_index(tree, top))
        if platform is None or top.digest == image.manifest:
            self._images.register(reference.without_suffix(), top=top.digest, manifest=image.manifest)
        return top.digest

    def _push_nodes(
        self,
        remote: Remote,
        reference: Reference,
        nodes: tuple[Node, ...],
        progress: Progress,
        cancellation: Cancellation,
    ) -> Descriptor:
        """Documents as they are, with all their blobs; the last one gets the tag."""
        layers = [layer for node in nodes for layer in layers_of(node, self._store)]
        self._push_layers(remote, reference, layers, progress, cancellation)
        for node in nodes:
            self._push_config(remote, node.manifest, cancellation)
            if node is not nodes[-1]:
                put_manifest(remote, node.descriptor.digest, node.data, node.descriptor.media_type, cancellation)
        return _put_named(remote, reference, nodes[-1].data, nodes[-1].descriptor.media_type, progress, cancellation)

    def _push_image(
        self, remote: Remote, reference: Reference, image: Image, progress: Progress, cancellation: Cancellation
    ) -> Descriptor:
        """The one platform's image, its plain layers compressed."""
        raw = self._store.read(image.manifest, strict.STORED_MAX_BYTES)
        manifest = documents.decode(raw)
        if not isinstance(manifest, documents.Manifest):
            raise Corrupt(f"image {image.id} has an index where its manifest should be")
        layers = plan_layers(image, manifest)
        pushed = self._push_layers(remote, reference, layers, progress, cancellation)
        self._push_config(remote, manifest, cancellation)
        if pushed != list(manifest.layers):
            manifest = msgspec.structs.replace(manifest, layers=tuple(pushed))
            raw = msgspec.json.encode(manifest)
        kind = manifest.media_type or media.OCI_MANIFEST
        return _put_named(remote, reference, raw, kind, progress, cancellation)

    def _push_config(self, remote: Remote, manifest: documents.Manifest | None, cancellation: Cancellation) -> None:
        if manifest is not None and not uploads.has_blob(remote, manifest.config, cancellation):
            uploads.upload(remote, manifest.config, self._store, self._open_uploads, _nothing, cancellation)

    def _push_layers(
        self,
        remote: Remote,
        reference: Reference,
        layers: list[Layer],
        progress: Progress,
        cancellation: Cancellation,
    ) -> list[Descriptor]:
        """What the manifest is to say of each layer, once the repository has them all."""
        once = {layer.descriptor.digest: layer for layer in reversed(layers)}
        for layer in once.values():
            progress(messages.layer("Preparing", layer.identifier))
        stop = Cancellation()
        with cancellation.watched(stop.cancel):
            flights: dict[Digest, Future[Descriptor]] = {}
            try:
                for number, layer in enumerate(once.values()):
                    if number >= self._limit:
                        progress(messages.layer("Waiting", layer.identifier))
                    flights[layer.descriptor.digest] = self._upload_pool.submit(
                        self._push_layer, remote, reference, layer, progress, stop
                    )
                pushed = {digest: flight.result() for digest, flight in flights.items()}
            except (RuntimeError, CancelledError):  # the pool was shut down: the daemon stops
                raise Cancelled from None
            finally:
                stop.cancel()
                for flight in flights.values():
                    if not flight.cancel():
                        flight.exception()
        self._origins.add(
            (layer.diff_id, Origin.at(pushed[layer.descriptor.digest], reference, is_verified=layer.is_plain))
            for layer in layers
        )
        return [pushed[layer.descriptor.digest] for layer in layers]

    def _push_layer(
        self, remote: Remote, reference: Reference, layer: Layer, progress: Progress, stop: Cancellation
    ) -> Descriptor:
        """One layer's way; the descriptor under which the repository has it now."""
        stop.check()
        if layer.descriptor.media_type in media.FOREIGN_LAYERS:
            progress(messages.layer("Skipped foreign layer", layer.identifier))
            return layer.descriptor
        known = [origin for origin in self._origins.of(layer.diff_id) if origin.domain == reference.domain]
        for descriptor in forms(layer, known):
            if uploads.has_blob(remote, descriptor, stop):
                progress(messages.layer("Layer already exists", layer.identifier))
                return descriptor
        for descriptor in forms(layer, known):
            for source in neighbours(descriptor, known, reference.path):
                if uploads.mount(remote, descriptor.digest, source, stop):
                    progress(messages.layer(f"Mounted from {source}", layer.identifier))
                    return descriptor
        descriptor = self._form_here(layer, stop)
        meter = Meter(progress, "Pushing", layer.identifier, descriptor.size)
        told = partial(_tell, meter)
        uploads.upload(remote, descriptor, self._store, self._open_uploads, told, stop)
        progress(messages.layer("Pushed", layer.identifier))
        return descriptor

    def _form_here(self, layer: Layer, stop: Cancellation) -> Descriptor:
        """The blob to send: the layer's own, a plain one's compressed form, or one that unpacks to the same files."""
        is_here = self._store.has(layer.descriptor.digest, layer.descriptor.size)
        if is_here and not layer.is_plain:
            return layer.descriptor
        for origin in self._origins.of(layer.diff_id):
            if can_stand_for(origin, layer) and self._store.has(origin.digest, origin.size):
                return origin.descriptor
        if is_here:
            return packing.pack(layer.descriptor, self._store, lambda _: stop.check())
        raise NotFound(
            f"blob {layer.descriptor.digest} of layer {layer.identifier} is not here any more, and its unpacked files do not "
            "give it back byte for byte: pull or load the image again"
        )


def _put_named(
    remote: Remote,
    reference: Reference,
    data: bytes,
    media_type: str,
    progress: Progress,
    cancellation: Cancellation,
) -> Descriptor:
    """Gives the document its tag in the repository."""
    digest = digests.of(data)
    put_manifest(remote, reference.tag or digest, data, media_type, cancellation)
    progress(messages.status(f"{reference.tag}: digest: {digest} size: {len(data)}"))
    progress({"progressDetail": {}, "aux": {"Tag": reference.tag, "Digest": digest, "Size": len(data)}})
    return Descriptor(media_type, digest, len(data))


def put_manifest(remote: Remote, name: str, data: bytes, media_type: str, cancellation: Cancellation) -> None:
    """Stores a manifest or an index under a tag or its digest; Corrupt when the registry read other bytes."""
    url = f"{remote.endpoint.api}/{remote.path}/manifests/{name}"

    def attempt() -> None:
        with remote.exchange("PUT", url, {"Content-Type": media_type}, data) as answer:
            raise_for_status(answer, (201, 202, 200))
            said = answer.headers.get("Docker-Content-Digest", "")
        if said and said != digests.of(data):
            raise Corrupt(f"{remote.endpoint.host} stored manifest {name} as {said[:100]!r}, not as {digests.of(data)}")

    remote.persist(f"manifest {name}", attempt, cancellation)


def _tell(meter: Meter, sent: int) -> None:
    meter.report(sent, time.monotonic())


def _nothing(sent: int) -> None:
    """Nobody watches a config being sent."""
