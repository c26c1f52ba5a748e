# SPDX-License-Identifier: Apache-2.0
"""Landing an image's layers: fetched in parallel, unpacked in order as they come, each once for all who want it.

A layer is unpacked as soon as it and those below it are there. Two small pools are shared by all pulls; a layer that
several pulls want is one flight (`flights`) with several passengers. Called by `distribution.pull`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

from holdfast import content
from holdfast.distribution import blobs
from holdfast.distribution import progress as messages
from holdfast.distribution.cancellation import Cancellation, Cancelled
from holdfast.distribution.flights import Flights, settle
from holdfast.distribution.progress import Meter, Progress
from holdfast.distribution.remote import Remote
from holdfast.errors import Corrupt, HoldfastError, InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

UNPACK_THREADS = 2


class Images(Protocol):
    """What a pull needs of `images.Store`."""

    def is_whole(self, image: Digest) -> bool:
        """Tells whether the image is registered and nothing of it is missing."""
        ...

    def owner_of(self, reference: Reference) -> Digest | None:
        """The image that has the name."""
        ...

    def platform_of(self, image: Digest) -> Platform | None:
        """What a registered image runs on."""
        ...

    def has_chain(self, chain_id: Digest) -> bool:
        """Tells whether the layers up to this one are unpacked."""
        ...

    def unpack_layer(
        self, descriptor: Descriptor, parent: Digest | None, diff_id: Digest, on_read: Callable[[int], None]
    ) -> Digest:
        """Unpacks a blob of the content store on its parent; `on_read` gets the blob's bytes read so far."""
        ...

    def register(self, reference: Reference, *, top: Digest, manifest: Digest) -> bool:
        """Gives an unpacked image its names; false when they were its own before."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer with the identities that it must have once unpacked."""

    descriptor: Descriptor
    diff_id: Digest
    chain_id: Digest
    parent: Digest | None

    @property
    def identifier(self) -> str:
        return digests.short(self.descriptor.digest)


class Lander:
    """Brings layers down for one daemon; thread-safe."""

    def __init__(self, *, store: content.Store, images: Images, max_downloads: int) -> None:
        self._store = store
        self._images = images
        self._download_pool = ThreadPoolExecutor(max_downloads, "download")
        self._unpack_pool = ThreadPoolExecutor(UNPACK_THREADS, "unpack")
        self._downloads: Flights[None] = Flights(self._download_pool, max_downloads)
        self._unpacks: Flights[None] = Flights(self._unpack_pool, UNPACK_THREADS)

    def resize(self, max_downloads: int) -> None:
        """Has so many downloads at once from now on; the old pool ends with its last one."""
        self._download_pool = ThreadPoolExecutor(max_downloads, "download")
        self._downloads.move(self._download_pool, max_downloads)

    def close(self) -> None:
        """Ends the pools; pulls under way must have been cancelled."""
        self._download_pool.shutdown(wait=False, cancel_futures=True)
        self._unpack_pool.shutdown(wait=False, cancel_futures=True)

    def land(self, remote: Remote, layers: list[Layer], progress: Progress, cancellation: Cancellation) -> list[Layer]:
        """Fetches and unpacks what is missing, base first; leaves every flight on the way out.

        Returns the layers whose own blob was unpacked here, and so found to have their diff id.
        """
        unpacked: list[Layer] = []
        missing = [layer for layer in layers if not self._is_here(layer)]
        for layer in layers:
            progress(messages.layer("Pulling fs layer" if layer in missing else "Already exists", layer.identifier))
        with ExitStack() as seats:
            landed = {layer.descriptor.digest: self._fetch(remote, layer, progress, seats) for layer in missing}
            for layer in missing:
                seat, is_ours = landed[layer.descriptor.digest]
                try:
                    _wait(seat, cancellation)
                except Cancelled:
                    raise
                except HoldfastError:
                    if is_ours:
                        raise
                    _wait(self._fetch(remote, layer, progress, seats)[0], cancellation)
                try:
                    self._unpack(layer, progress, cancellation, unpacked)
                except Corrupt:
                    if self._store.has(layer.descriptor.digest):
                        raise
                    # the disk had changed a blob that was here before; it is gone now
                    _wait(self._fetch(remote, layer, progress, seats)[0], cancellation)
                    self._unpack(layer, progress, cancellation, unpacked)
        return unpacked

    def _is_here(self, layer: Layer) -> bool:
        """Unpacked, and with the blob that the manifest names: another image may have brought the same files otherwise."""
        is_unpacked = self._images.has_chain(layer.chain_id)
        return is_unpacked and self._store.has(layer.descriptor.digest, layer.descriptor.size)

    def _fetch(self, remote: Remote, layer: Layer, progress: Progress, seats: ExitStack) -> tuple[Future[None], bool]:
        """Boards the layer's flight; a flight that another pull started, perhaps from a worse registry, is not ours."""
        key = str(layer.descriptor.digest)

        def work(tell: Progress, cancellation: Cancellation) -> None:
            blobs.fetch(remote, layer.descriptor, self._store, tell, cancellation)

        seat, is_ours = self._downloads.board(key, work, progress, messages.layer("Waiting", layer.identifier))
        seats.callback(self._downloads.leave, key, seat)
        return seat, is_ours

    def _unpack(self, layer: Layer, progress: Progress, cancellation: Cancellation, unpacked: list[Layer]) -> None:
        key = str(layer.chain_id)

        def work(tell: Progress, stop: Cancellation) -> None:
            if not self._images.has_chain(layer.chain_id):
                self._unpack_now(layer, tell, stop)
                unpacked.append(layer)
            tell(messages.layer("Pull complete", layer.identifier))

        seat, _ = self._unpacks.board(key, work, progress)
        try:
            _wait(seat, cancellation)
        finally:
            self._unpacks.leave(key, seat)

    def _unpack_now(self, layer: Layer, tell: Progress, stop: Cancellation) -> None:
        meter = Meter(tell, "Extracting", layer.identifier, layer.descriptor.size)

        def on_read(count: int) -> None:
            stop.check()
            meter.report(count, time.monotonic())

        self._images.unpack_layer(layer.descriptor, layer.parent, layer.diff_id, on_read)


def plan_layers(manifest: documents.Manifest, config: documents.ImageConfig) -> list[Layer]:
    """The layers with the identities that they must have once unpacked, base first; pure."""
    diff_ids = config.rootfs.diff_ids
    if len(diff_ids) != len(manifest.layers):
        raise InvalidArgument(
            f"invalid image: the manifest has {len(manifest.layers)} layers, the config {len(diff_ids)} diff ids"
        )
    chain_ids = digests.chains(diff_ids)
    return [
        Layer(descriptor=descriptor, diff_id=diff_id, chain_id=chain_id, parent=parent)
        for descriptor, diff_id, chain_id, parent in zip(
            manifest.layers, diff_ids, chain_ids, [None, *chain_ids[:-1]], strict=True
        )
    ]


def _wait(seat: Future[None], cancellation: Cancellation) -> None:
    """The flight's end, or Cancelled as soon as the pull is cancelled."""
    with cancellation.watched(lambda: settle(seat, error=Cancelled())):
        seat.result()
