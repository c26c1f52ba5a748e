# SPDX-License-Identifier: Apache-2.0
"""Which names stand for which images, both ways, in memory; `store` keeps the records. Not thread-safe by itself.

A name's key is its normalised reference, with a tag or with a digest. Called by `images.store` with its lock held.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.images import naming

if TYPE_CHECKING:
    from collections.abc import Collection

    from holdfast.images.records import TagRecord
    from holdfast.oci.digest import Digest
    from holdfast.oci.reference import Reference


class Tags:
    """All names; `records` is to be read only."""

    def __init__(self) -> None:
        self.records: dict[str, TagRecord] = {}
        self._names: dict[Digest, dict[str, Reference]] = {}

    def put(self, key: str, record: TagRecord) -> list[Digest]:
        """Gives a name to an image, taking it from whoever had it; returns the images whose names have changed."""
        touched = [*self.drop(key), record.image]
        self.records[key] = record
        self._names.setdefault(record.image, {})[key] = naming.reference_of(key)
        return touched

    def drop(self, key: str) -> list[Digest]:
        """Forgets a name; returns the image that had it, if any did."""
        record = self.records.pop(key, None)
        if record is None:
            return []
        self._names.get(record.image, {}).pop(key, None)
        return [record.image]

    def forget(self, image: Digest) -> None:
        """Forgets an image that has lost all its names."""
        self._names.pop(image, None)

    def of(self, image: Digest) -> Collection[Reference]:
        """The image's names."""
        return self._names.get(image, {}).values()

    def all(self) -> list[Reference]:
        """Every name there is."""
        return [name for each in self._names.values() for name in each.values()]

    def last_nanos(self, image: Digest) -> int:
        """When the image got its newest name; 0 without any."""
        return max((self.records[key].tagged_nanos for key in self._names.get(image, {})), default=0)
