# SPDX-License-Identifier: Apache-2.0
"""Descriptors: what kind of content, which digest, how many bytes.

Source: OCI image-spec v1.1 §descriptor. `urls` of foreign layers are kept but never followed (security.md §2.2).
"""

from __future__ import annotations

from typing import Any

import msgspec

from holdfast.errors import InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci import strict
from holdfast.oci.digest import Digest
from holdfast.oci.platform import Platform


class Descriptor(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A typed, sized pointer to content; equal values are equal content."""

    media_type: str
    digest: Digest
    size: int
    annotations: dict[str, str] = {}
    platform: Platform | None = None
    urls: tuple[str, ...] = ()
    artifact_type: str = ""
    data: str = ""

    def __post_init__(self) -> None:
        digests.parse(self.digest)
        if self.size < 0:
            raise InvalidArgument(f"invalid descriptor {self.digest}: negative size {self.size}")

    def to_json(self) -> dict[str, Any]:
        """The JSON object, without empty members."""
        return msgspec.to_builtins(self)

    @classmethod
    def from_json(cls, document: object) -> Descriptor:
        """Checks and converts a decoded JSON object; raises InvalidArgument naming the member."""
        return strict.convert(document, cls, "descriptor")
