# SPDX-License-Identifier: Apache-2.0
"""`docker import`: a file system's tar becomes an image of one layer.

The stream may be compressed; the layer is kept as a plain tar, so its digest is its diff id. It is written to content
and unpacked in the same pass.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from holdfast.content import compression
from holdfast.images.archive_load import compose_manifest
from holdfast.images.changes import apply_changes
from holdfast.oci import image as documents
from holdfast.oci import media
from holdfast.oci import reference as references
from holdfast.oci.descriptor import Descriptor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.content import Ingest
    from holdfast.images.store import Store
    from holdfast.oci.digest import Digest
    from holdfast.oci.platform import Platform


def import_(
    store: Store,
    source: compression.Readable,
    *,
    platform: Platform,
    now: float,
    target: str = "",
    message: str = "",
    changes: Sequence[str] = (),
) -> Digest:
    """Makes the image and names it if `target` is given; returns its id. Bad changes and names are refused first."""
    run = apply_changes(documents.RunConfig(), changes)
    reference = references.parse_tagged(target) if target else None
    with store.intake():
        plain = compression.Reader(source, limits=store.limits)
        with store.content.ingest(f"import-{id(source)}-{now}") as blob:
            diff_id = store.unpack(_Tee(plain, blob), None)
            size = blob.offset
            blob.commit()
        layer = Descriptor(media.OCI_LAYER, diff_id, size)
        image = compose_image(
            store, [layer], [diff_id], run, platform=platform, now=now, comment=message, created_by=""
        )
        if reference is not None:
            store.tag(image, str(reference))
    return image


def compose_image(
    store: Store,
    layers: Sequence[Descriptor],
    diff_ids: Sequence[Digest],
    run: documents.RunConfig,
    *,
    platform: Platform,
    now: float,
    comment: str,
    created_by: str,
    history: Sequence[documents.History] = (),
    author: str = "",
    parent: str = "",
    is_empty_step: bool = False,
) -> Digest:
    """Stores config and manifest of an image whose layers are unpacked, and makes it known; returns its id.

    `is_empty_step`: the last step of its history brought no layer.
    """
    created = datetime.fromtimestamp(now, UTC).isoformat().replace("+00:00", "Z")
    step = documents.History(
        created=created, created_by=created_by, comment=comment, author=author, empty_layer=is_empty_step
    )
    config = documents.ImageConfig(
        created=created,
        author=author,
        architecture=platform.architecture,
        variant=platform.variant,
        os=platform.os,
        config=run,
        rootfs=documents.RootFS(diff_ids=tuple(diff_ids)),
        history=(*history, step),
        comment=comment,
    )
    raw = msgspec.json.encode(config)
    descriptor = Descriptor(media.OCI_CONFIG, store.content.put(raw), len(raw))
    return store.add(compose_manifest(store, descriptor, list(layers)), parent=parent)


class _Tee:
    """A reader that writes what passes into an ingest."""

    def __init__(self, source: compression.Readable, target: Ingest) -> None:
        self._source = source
        self._target = target

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        if data:
            self._target.write(data)
        return data
