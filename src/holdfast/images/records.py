# SPDX-License-Identifier: Apache-2.0
"""What the image store remembers, as documents in `metadata`.

Bucket `images`, key image id: an `ImageRecord`. Bucket `tags`, key the normalised reference (with a tag or with a
digest): a `TagRecord`. Everything else about an image is in its blobs.
"""

from __future__ import annotations

import msgspec

from holdfast.oci.digest import Digest

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
