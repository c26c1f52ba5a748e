# SPDX-License-Identifier: Apache-2.0
"""What users call images: names with tag or digest, whole ids, unique prefixes of ids. Pure.

The wording for what is not there is Docker's; clients decide by it whether to pull (seeds 003).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from holdfast.errors import InvalidArgument, NotFound
from holdfast.oci import digest as digests
from holdfast.oci import reference as references
from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.images.records import TagRecord

_PREFIX = re.compile(r"(?:sha256:)?([0-9a-f]{1,64})", re.ASCII)


def find(name: str, tags: Mapping[str, TagRecord], images: Iterable[Digest]) -> Digest:
    """The id of the image that is meant: by id, then by name, then by prefix; NotFound, InvalidArgument."""
    identifier = whole_id(name)
    if identifier is not None:
        if identifier in images:
            return identifier
        raise NotFound(f"No such image: {identifier}")
    reference = references.parse(name)
    record = tags.get(key_of(reference))
    if record is not None:
        return record.image
    match = _PREFIX.fullmatch(name)
    found = [image for image in images if match and digests.encoded(image).startswith(match[1])]
    if len(found) == 1:
        return found[0]
    raise NotFound(f"No such image: {reference.with_default_tag().familiar}")


def whole_id(name: str) -> Digest | None:
    """The image id when the text is a complete one, with or without `sha256:`."""
    if digests.is_digest(name):
        return Digest(name)
    if len(name) == 64 and digests.is_digest(f"sha256:{name}"):
        return Digest(f"sha256:{name}")
    return None


def is_id_prefix(name: str, image: Digest) -> bool:
    """Tells whether the user meant the image by its id and not by a name."""
    return image.startswith(name) or digests.encoded(image).startswith(name)


def key_of(reference: references.Reference) -> str:
    """The key of a name in the tags bucket: a digest pins harder than a tag."""
    if reference.digest is not None:
        return f"{reference.name}@{reference.digest}"
    return f"{reference.name}:{reference.tag or references.DEFAULT_TAG}"


def reference_of(key: str) -> references.Reference:
    """The reverse of `key_of`; InvalidArgument for a damaged key."""
    reference = references.parse(key)
    if reference.tag is None and reference.digest is None:
        raise InvalidArgument(f"image name {key!r} has neither a tag nor a digest")
    return reference
