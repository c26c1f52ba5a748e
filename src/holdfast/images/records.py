# SPDX-License-Identifier: Apache-2.0
"""What the image store remembers, as documents in `metadata`, and in memory as it is there.

Bucket `images`, key image id: an `ImageRecord`. Bucket `tags`, key the normalised reference (with a tag or with a
digest): a `TagRecord`. Everything else about an image is in its blobs. One transaction for each change, which is in
memory when it is on disk. Called by `images.store` with its lock held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import HoldfastError
from holdfast.images import naming
from holdfast.images.tags import Tags
from holdfast.oci import digest as digests
from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.metadata import Store as MetadataStore

IMAGES = "images"
TAGS = "tags"


class ImageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image: its manifest (which names config and layers), its unpacked size, the local image it was made from."""

    id: Digest
    manifest: Digest
    size: int
    parent: str = ""


class TagRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a name stands for, and since when; `index` is the index that the image came under by that name."""

    image: Digest
    tagged_nanos: int = 0
    index: str = ""


class Records:
    """All of them; `images` and `tags` are to be read only, `damaged` names those that cannot be read."""

    def __init__(self, metadata: MetadataStore) -> None:
        self._metadata = metadata
        self.images: dict[Digest, ImageRecord] = {}
        self.tags = Tags()
        self.damaged: list[str] = []
        self._restore()

    def _restore(self) -> None:
        """Reads what is on disk; what cannot be read hides no other."""
        for key, data in self._metadata.items(IMAGES):
            try:
                self.images[digests.parse(key)] = msgspec.json.decode(data, type=ImageRecord)
            except (msgspec.MsgspecError, HoldfastError):
                self.damaged.append(f"{IMAGES}/{key}")
        for key, data in self._metadata.items(TAGS):
            try:
                record = msgspec.json.decode(data, type=TagRecord)
                naming.reference_of(key)
            except (msgspec.MsgspecError, HoldfastError):
                self.damaged.append(f"{TAGS}/{key}")
                continue
            if record.image in self.images:
                self.tags.put(key, record)

    def children(self, image: Digest) -> list[Digest]:
        """The images that were made from this one here."""
        return [record.id for record in list(self.images.values()) if record.parent == image]

    def parents(self) -> set[str]:
        """The ids of all images that others were made from here."""
        return {record.parent for record in list(self.images.values())}

    def put(self, record: ImageRecord) -> None:
        """Makes an image known, or known anew."""
        with self._metadata.transaction() as transaction:
            transaction.put(IMAGES, record.id, msgspec.json.encode(record))
        self.images[record.id] = record

    def name(self, keys: Sequence[str], record: TagRecord) -> list[Digest]:
        """Gives an image names; returns the images whose names have changed."""
        with self._metadata.transaction() as transaction:
            for key in keys:
                transaction.put(TAGS, key, msgspec.json.encode(record))
        return [image for key in keys for image in self.tags.put(key, record)]

    def drop(self, keys: Sequence[str], images: Sequence[Digest]) -> tuple[list[ImageRecord], list[Digest]]:
        """Forgets names and images; returns the records that went, and the images that have lost a name."""
        with self._metadata.transaction() as transaction:
            for key in keys:
                transaction.delete(TAGS, key)
            for image in images:
                transaction.delete(IMAGES, image)
        nameless = [image for key in keys for image in self.tags.drop(key)]
        for image in images:
            self.tags.forget(image)
        return [self.images.pop(image) for image in images if image in self.images], nameless
