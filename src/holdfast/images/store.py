# SPDX-License-Identifier: Apache-2.0
"""The image store: which images there are, what they are called, and what they are made of.

Records live in `metadata` (one transaction per change) and in memory; documents and layers' blobs in `content`; what
they unpack to in `snapshots`, under the chain ids. Bringing an image in is always the same: blobs first, then layers
(`unpack_layer`), then the record (`add`), then names (`tag`, `register`): whoever dies in between leaves nothing but
unreferenced blobs and layers, which `collect` removes.
Thread-safe; blocking on disk. Called by engine (all image jobs), distribution (pull), containers (config of an image).
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from holdfast.content import compression
from holdfast.errors import HoldfastError, NotFound
from holdfast.images import archive_load, archive_save, deletion, filters, importing, indexes, naming
from holdfast.images.image import ContainerUse, HistoryItem, Image, Removed, seconds_of
from holdfast.images.layers import Layers
from holdfast.images.progress import Progress, silent
from holdfast.images.reading import DocumentReader, Documents, absent
from holdfast.images.records import ImageRecord, Records, TagRecord
from holdfast.oci import digest as digests
from holdfast.oci import media, strict
from holdfast.oci import reference as references
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    from holdfast.content import Store as ContentStore
    from holdfast.images.layers import Readable
    from holdfast.metadata import Store as MetadataStore
    from holdfast.oci.platform import Platform
    from holdfast.oci.reference import Reference
    from holdfast.snapshots import Driver


class Store:
    """All images of one data root; see the module."""

    def __init__(
        self,
        metadata: MetadataStore,
        content: ContentStore,
        snapshots: Driver,
        *,
        limits: compression.Limits | None = None,
        documents_limits: strict.Limits = strict.DEFAULT_LIMITS,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.documents_limits = documents_limits
        self.content = content
        self.snapshots = snapshots
        self.metadata = metadata
        self._clock = clock
        self._layers = Layers(content, snapshots, limits if limits is not None else compression.Limits(), clock)
        self._lock = threading.RLock()
        self._records = Records(metadata)
        self._documents = DocumentReader(content)
        self._trees = indexes.Trees(content)
        self._shown: dict[Digest, Image] = {}

    @property
    def damaged(self) -> list[str]:
        """The records that cannot be read, as `bucket/key`."""
        return self._records.damaged

    @property
    def limits(self) -> compression.Limits:
        """How far compressed input may expand."""
        return self._layers.limits

    # looking

    def is_whole(self, image: Digest) -> bool:
        """Tells whether there is an image of that id, and nothing of it is missing or damaged as far as a look shows.

        Its documents are read, its layers' blobs looked at only (one syscall each).
        """
        record = self._records.images.get(image)
        return record is not None and self._is_whole(record)

    def has_chain(self, chain_id: Digest) -> bool:
        """Tells whether the layers up to this one are unpacked; if so they stay until the caller's lease ends."""
        return self._layers.has(chain_id)

    def resolve(self, name: str) -> Digest:
        """The id that a name, an id or a unique prefix stands for; NotFound `No such image: …`."""
        with self._lock:
            return naming.find(name, self._records.tags.records, self._records.images)

    def get(self, name: str) -> Image:
        """The image; NotFound, InvalidArgument for what is no reference, Corrupt when its blobs are damaged."""
        with self._lock:
            return self._image(self._records.images[self.resolve(name)])

    def list(self, wanted: filters.Filters | None = None) -> list[Image]:
        """The images that pass the filters, the newest first; damaged ones are listed with an empty config."""
        with self._lock:
            images = [self._image_or_damage(record) for record in self._records.images.values()]
        images.sort(key=lambda image: image.created_seconds, reverse=True)
        return filters.select(images, wanted) if wanted is not None else images

    def tags_of(self, repository: Reference) -> list[Reference]:
        """All tags of a repository, sorted."""
        with self._lock:
            names = self._records.tags.all()
        return sorted((n for n in names if n.name == repository.name and n.digest is None), key=str)

    def platform_of(self, image: Digest) -> Platform | None:
        """What an image runs on; None when it is not known any more."""
        with self._lock:
            record = self._records.images.get(image)
            return self._documents.read(record.manifest).config.platform if record is not None else None

    def manifest_type(self, image: Digest) -> str:
        """The media type of an image's manifest."""
        with self._lock:
            return self._documents.read(self._records.images[image].manifest).manifest.media_type or media.OCI_MANIFEST

    def children(self, image: Digest) -> list[Digest]:
        """The images that were made from this one here."""
        return self._records.children(image)

    def parents(self) -> set[str]:
        """The ids of all images that others were made from here."""
        return self._records.parents()

    def history(self, name: str) -> list[HistoryItem]:
        """How the image came to be, the newest step first; those of images that are here have their ids and names."""
        image = self.get(name)
        chains = iter(digests.chains(image.layers))
        items: list[HistoryItem] = []
        for step in image.config.history:
            chain = None if step.empty_layer else next(chains, None)
            size = self.snapshots.usage(chain).size_bytes if chain and self.snapshots.exists(chain) else 0
            items.append(HistoryItem("<missing>", seconds_of(step.created), step.created_by, (), size, step.comment))
        items.reverse()
        for place, known in zip(range(len(items)), self._line(image), strict=False):
            items[place] = items[place]._replace(id=known.id, tags=known.repo_tags)
        return items

    def _line(self, image: Image) -> Generator[Image]:
        """The image, and those that it was committed on, as far as they are still here."""
        yield image
        while image.parent:
            try:
                image = self.get(image.parent)
            except HoldfastError:
                return
            yield image

    # bringing in

    @contextlib.contextmanager
    def intake(self) -> Generator[None]:
        """Keeps what is brought in during the block; when the block fails, what it has brought goes again."""
        try:
            with self.content.lease():
                yield
        except BaseException:
            self.collect()
            raise

    def unpack_layer(
        self,
        descriptor: Descriptor,
        parent: Digest | None,
        diff_id: Digest,
        on_read: Callable[[int], None] | None = None,
    ) -> Digest:
        """Unpacks a blob of the content store on its parent chain and returns the new chain id; a no-op if it is there.

        `on_read` gets the number of the blob's bytes read so far. Corrupt when it unpacks to another diff id.
        """
        return self._layers.unpack_blob(descriptor, parent, diff_id, on_read)

    def unpack(self, stream: Readable, parent: Digest | None, expected: Digest | None = None) -> Digest:
        """Unpacks an uncompressed layer tar on its parent chain; returns its diff id, Corrupt when another is due."""
        return self._layers.unpack(stream, parent, expected)

    def add(self, manifest: Digest, *, parent: str = "") -> Digest:
        """Makes the image of a manifest known, without a name; its blobs and layers must be there. Returns its id."""
        found = self._documents.read(manifest)
        image = found.manifest.config.digest
        chains = found.chains
        with self._lock:
            known = self._records.images.get(image)
            if known is not None and self._is_whole(known):
                return image
            parent = parent or (known.parent if known is not None else "")
            for chain in chains:
                if not self.snapshots.exists(chain):
                    raise NotFound(f"layer {chain} of image {image} is not unpacked")
            size = sum(self.snapshots.usage(chain).size_bytes for chain in chains)
            record = ImageRecord(image, manifest, size, parent)
            self._records.put(record)
            self._shown.pop(image, None)
        return image

    def register(self, reference: Reference, *, top: Digest, manifest: Digest) -> bool:
        """Names a pulled image: its tag (if the reference has one) and its digest; false when both were so before.

        `top` is the digest that the reference resolved to (an index's or the manifest's own).
        """
        with self._lock:
            image = self.add(manifest)
            keys = [naming.key_of(reference.without_suffix().with_digest(top))]
            if reference.tag is not None and reference.digest is None:
                keys.append(naming.key_of(reference))
            index = top if top != manifest and indexes.is_index(self.content, top) else ""
            known = [self._records.tags.records.get(key) for key in keys]
            is_newer = any(record is None or record.image != image for record in known)
            if is_newer or any(record is not None and record.index != index for record in known):
                self._name(image, keys, index)
        return is_newer

    def tag(self, name: str, target: str) -> Image:
        """Gives an image another name (`latest` where there is no tag); takes it from whoever had it.

        A name that came with an index passes it on.
        """
        reference = references.parse_tagged(target)
        with self._lock:
            image = self.resolve(name)
            index = "" if naming.whole_id(name) else self.index_of(references.parse(name)) or ""
            self._name(image, [naming.key_of(reference)], index)
            return self.get(image)

    def put_under(self, index: Digest, image: Digest, reference: Reference) -> None:
        """Names an image that came in an index: the name stands for all of it when it is saved or pushed."""
        with self._lock:
            self._name(image, [naming.key_of(reference)], index)

    def index_of(self, reference: Reference) -> Digest | None:
        """The index that a name stands for beside its image; it may be here in parts only."""
        record = self._records.tags.records.get(naming.key_of(reference))
        return Digest(record.index) if record is not None and record.index else None

    def owner_of(self, reference: Reference) -> Digest | None:
        """The image that has the name now."""
        record = self._records.tags.records.get(naming.key_of(reference))
        return record.image if record else None

    def load(self, stream: Readable, progress: Progress = silent) -> list[str]:
        """Brings in every image of a docker-archive or OCI-layout tar; see `archive_load`. Returns names or ids."""
        return archive_load.load(self, stream, progress)

    def import_(
        self,
        stream: Readable,
        *,
        platform: Platform,
        target: str = "",
        message: str = "",
        changes: Sequence[str] = (),
    ) -> Digest:
        """Makes an image of a file system's tar and names it if `target` is given; returns its id."""
        now = self._clock() / 1e9
        return importing.import_(
            self, stream, platform=platform, now=now, target=target, message=message, changes=changes
        )

    def save(self, names: Sequence[str]) -> Iterator[bytes]:
        """The images' archive in pieces; NotFound before the first. See `archive_save`."""
        return archive_save.save(self, list(names))

    # taking away

    def delete(
        self,
        name: str,
        *,
        force: bool = False,
        prune_parents: bool = True,
        containers: Sequence[ContainerUse] = (),
    ) -> list[Removed]:
        """Removes a name, or the image with its last name; Conflict in Docker's words while it is in use."""
        with self._lock:
            image = self.resolve(name)
            plan = deletion.plan_delete(
                name,
                image,
                list(self._records.tags.of(image)),
                force=force,
                containers=containers,
                has_children=bool(self.children(image)),
            )
            removed = [Removed(untagged=naming.reference_of(key).familiar) for key in plan.untag]
            if not plan.deletes_image:
                had_index = any(self._records.tags.records[key].index for key in plan.untag)
                self._drop(plan.untag, [])
                if had_index:
                    self.collect()
                return removed
            doomed = [image, *(self._prunable_parents(image, containers) if prune_parents else ())]
            chains = [chain for dead in doomed for chain in reversed(self._chains(dead))]
            self._drop(plan.untag, doomed)
            gone = set(self.collect())
        removed += [Removed(deleted=dead) for dead in doomed]
        return removed + [Removed(deleted=chain) for chain in dict.fromkeys(chains) if chain in gone]

    def collect(self) -> list[str]:
        """Deletes layers and blobs that no image, container or open lease needs; returns the chain ids that went.

        Nothing is deleted while a damaged image hides which layers are its own.
        """
        with self._lock:
            try:
                found = [self._documents.read(record.manifest) for record in self._records.images.values()]
            except HoldfastError:
                return []
            gone = self._layers.collect(chain for each in found for chain in each.chains)
            roots = {record.manifest for record in self._records.images.values()}
            for each in found:
                roots.add(each.manifest.config.digest)
                roots.update(layer.digest for layer in each.manifest.layers)
            names = self._records.tags.records.values()
            roots |= self._trees.digests(Digest(record.index) for record in names if record.index)
            self.content.collect(roots)
        return gone

    # inside; all with the lock held

    def _image_or_damage(self, record: ImageRecord) -> Image:
        try:
            return self._image(record)
        except HoldfastError as error:
            return self._make_image(record, absent(record.id), error.message)

    def _image(self, record: ImageRecord) -> Image:
        """The image as a value, made anew only after its names have changed."""
        shown = self._shown.get(record.id)
        if shown is None:
            shown = self._shown[record.id] = self._make_image(record, self._documents.read(record.manifest))
        return shown

    def _make_image(self, record: ImageRecord, found: Documents, damage: str = "") -> Image:
        chains = found.chains
        names = self._records.tags.of(record.id)
        return Image(
            id=record.id,
            manifest=record.manifest,
            config=found.config,
            raw_config=found.raw_config,
            blobs=found.manifest.layers,
            chain_id=chains[-1] if chains else None,
            repo_tags=tuple(sorted(name.familiar for name in names if name.digest is None)),
            repo_digests=tuple(sorted(name.familiar for name in names if name.digest is not None)),
            size=record.size,
            parent=record.parent,
            tagged_nanos=self._records.tags.last_nanos(record.id),
            damage=damage,
        )

    def _is_whole(self, record: ImageRecord) -> bool:
        try:
            self.content.read(record.manifest, strict.STORED_MAX_BYTES)
            self.content.read(record.id, strict.STORED_MAX_BYTES)
            found = self._documents.read(record.manifest)
        except HoldfastError:
            return False
        return all(self.content.has(layer.digest, layer.size) for layer in found.manifest.layers) and all(
            self.has_chain(chain) for chain in found.chains
        )

    def _chains(self, image: Digest) -> list[Digest]:
        """The chain ids of a known image, base first; none when it is damaged."""
        try:
            return self._documents.read(self._records.images[image].manifest).chains
        except HoldfastError:
            return []

    def _prunable_parents(self, image: Digest, containers: Sequence[ContainerUse]) -> list[Digest]:
        """The nameless, unused parents that only this image kept."""
        doomed: list[Digest] = []
        parent = self._records.images[image].parent
        used = {use.image_id for use in containers}
        while parent:
            record = self._records.images.get(Digest(parent))
            if record is None or self._records.tags.of(record.id) or record.id in used:
                break
            if set(self.children(record.id)) - {image, *doomed}:
                break
            doomed.append(record.id)
            parent = record.parent
        return doomed

    def _name(self, image: Digest, keys: Sequence[str], index: str) -> None:
        for changed in self._records.name(keys, TagRecord(image, self._clock(), index)):
            self._shown.pop(changed, None)

    def _drop(self, keys: Sequence[str], images: Sequence[Digest]) -> None:
        gone, changed = self._records.drop(keys, images)
        for image in (*images, *changed):
            self._shown.pop(image, None)
        for record in gone:
            self._documents.forget(record.manifest)
