# SPDX-License-Identifier: Apache-2.0
"""An image's documents, read from its blobs once and kept: they never change. Called by `images.store` with its lock held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import Corrupt, InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from holdfast.content import Store as ContentStore
    from holdfast.oci.digest import Digest


class Documents(msgspec.Struct, frozen=True):
    """The parsed blobs of one image."""

    manifest: documents.Manifest
    config: documents.ImageConfig
    raw_config: bytes

    @property
    def chains(self) -> list[Digest]:
        """The chain ids of the layers, base first."""
        return digests.chains(self.config.rootfs.diff_ids)


def absent(image: Digest) -> Documents:
    """What stands for the documents of an image whose blobs are damaged."""
    config = Descriptor(media.OCI_CONFIG, image, 0)
    return Documents(documents.Manifest(schema_version=2, config=config), documents.ImageConfig(), b"")


class DocumentReader:
    """The documents of all images of a content store, by their manifests' digests."""

    def __init__(self, content: ContentStore) -> None:
        self._content = content
        self._known: dict[Digest, Documents] = {}

    def forget(self, manifest: Digest) -> None:
        """Drops what is kept of an image that is gone."""
        self._known.pop(manifest, None)

    def read(self, manifest: Digest) -> Documents:
        """The image's documents; Corrupt, NotFound, InvalidArgument when they are damaged or do not fit each other."""
        known = self._known.get(manifest)
        if known is not None:
            return known
        parsed = documents.decode(self._bytes(manifest))
        if not isinstance(parsed, documents.Manifest):
            raise InvalidArgument(f"{manifest} is an index, not the manifest of one image")
        raw_config = self._bytes(parsed.config.digest)
        config = documents.decode_config(raw_config)
        if len(config.rootfs.diff_ids) != len(parsed.layers):
            raise InvalidArgument(
                f"invalid image {parsed.config.digest}: its manifest has {len(parsed.layers)} layers, "
                f"its config {len(config.rootfs.diff_ids)}"
            )
        for diff_id in config.rootfs.diff_ids:
            digests.parse(diff_id)
        found = Documents(parsed, config, raw_config)
        self._known[manifest] = found
        return found

    def _bytes(self, digest: Digest) -> bytes:
        try:
            return self._content.read(digest, strict.STORED_MAX_BYTES)
        except Corrupt as error:
            raise Corrupt(f"{error.message}: pull the image again") from None
