# SPDX-License-Identifier: Apache-2.0
"""The values that the image store hands out and takes in."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest
from holdfast.oci.image import ImageConfig

_FRACTION = re.compile(r"\.(\d{1,9})", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image as it is now; `chain_id` is the top snapshot's name, None for an image without layers.

    `layers` are diff ids, `blobs` the layers as the manifest has them, both base first. `damage` says what is wrong
    with an image that can be listed and deleted only.
    """

    id: Digest
    manifest: Digest
    config: ImageConfig
    raw_config: bytes
    blobs: tuple[Descriptor, ...]
    chain_id: Digest | None
    repo_tags: tuple[str, ...]
    repo_digests: tuple[str, ...]
    size: int
    parent: str
    tagged_nanos: int
    damage: str = ""

    @property
    def layers(self) -> tuple[Digest, ...]:
        return self.config.rootfs.diff_ids

    @property
    def created(self) -> str:
        """The time of making as the config has it, RFC 3339 or empty."""
        return self.config.created

    @property
    def created_seconds(self) -> int:
        """The same in seconds of the epoch; 0 when there is none (Docker shows such an image as made in 1970)."""
        return seconds_of(self.config.created)

    @property
    def created_nanos(self) -> int | None:
        """The same in nanoseconds, None when there is none: what one image is older or newer by than another."""
        return nanos_of(self.config.created)


class ContainerUse(NamedTuple):
    """A container that stands on an image, for `delete` to respect."""

    container_id: str
    image_id: str
    is_running: bool


class Removed(NamedTuple):
    """One line of a delete's answer: exactly one of the two is set."""

    untagged: str = ""
    deleted: str = ""


class HistoryItem(NamedTuple):
    """One step in the making of an image, the newest first; `id` is `<missing>` for steps made elsewhere."""

    id: str
    created_seconds: int
    created_by: str
    tags: tuple[str, ...]
    size: int
    comment: str


@functools.lru_cache(4096)
def seconds_of(text: str) -> int:
    """Seconds of the epoch of an RFC 3339 time with up to nine digits of fraction; 0 when it is none."""
    nanos = nanos_of(text)
    return nanos // 1_000_000_000 if nanos is not None else 0


@functools.lru_cache(4096)
def nanos_of(text: str) -> int | None:
    """Nanoseconds of the epoch of such a time; None when it is none."""
    fraction = _FRACTION.search(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    whole = moment.replace(microsecond=0, tzinfo=moment.tzinfo or UTC)
    return int(whole.timestamp()) * 1_000_000_000 + (int(fraction[1].ljust(9, "0")) if fraction else 0)
