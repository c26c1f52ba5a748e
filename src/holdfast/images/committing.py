# SPDX-License-Identifier: Apache-2.0
"""`docker commit`: what a container changed becomes a layer on its image.

The layer is written to content as a plain tar, then unpacked on the parent's chain. A container that changed nothing
gives an image without a new layer. Called by the job commit, in a thread.
Source: Engine API v1.51 ImageCommit; OCI image-spec v1.1 §layer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from holdfast.images.importing import compose_image
from holdfast.oci import media
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.image import Healthcheck, RunConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.content import Ingest
    from holdfast.images.image import Image
    from holdfast.images.store import Store
    from holdfast.oci.digest import Digest
    from holdfast.snapshots.tar.writer import Writable

_EMPTY_TAR_BYTES = 1024
_BUFFER_BYTES = 1 << 20


def commit(
    store: Store,
    parent: Image,
    write_layer: Callable[[Writable], None],
    run: RunConfig,
    *,
    attempt: str,
    now: float,
    created_by: str,
    author: str = "",
    comment: str = "",
    target: str = "",
) -> Digest:
    """Makes the image and names it if `target` is given; returns its id. `attempt` is unique among running ones."""
    layers, diff_ids = list(parent.blobs), list(parent.layers)
    with store.intake():
        with store.content.ingest(f"commit-{attempt}", resumable=False) as blob:
            buffer = _Buffer(blob)
            write_layer(buffer)
            buffer.flush()
            size = blob.offset
            is_empty = size == _EMPTY_TAR_BYTES
            if is_empty:
                blob.abort()
            else:
                layer = Descriptor(media.OCI_LAYER, blob.commit(), size)
                layers.append(layer)
        if not is_empty:
            diff_id = layers[-1].digest
            store.unpack_layer(layers[-1], parent.chain_id, diff_id)
            diff_ids.append(diff_id)
        image = compose_image(
            store,
            layers,
            diff_ids,
            run,
            platform=parent.config.platform,
            now=now,
            comment=comment,
            created_by=created_by,
            history=parent.config.history,
            author=author,
            parent=parent.id,
            is_empty_step=is_empty,
        )
        if target:
            store.tag(image, target)
    return image


def merged(wish: RunConfig, below: RunConfig) -> RunConfig:
    """What the wish says, and where it is silent what is below says; Docker's rules, field by field."""
    named = {item.partition("=")[0] for item in wish.env}
    cmd, entrypoint = wish.cmd, wish.entrypoint
    if not entrypoint:
        cmd = cmd or below.cmd
        entrypoint = below.entrypoint if entrypoint is None else entrypoint
    return msgspec.structs.replace(
        wish,
        user=wish.user or below.user,
        exposed_ports={**below.exposed_ports, **wish.exposed_ports},
        env=(*wish.env, *(item for item in below.env if item.partition("=")[0] not in named)),
        labels={**below.labels, **wish.labels},
        cmd=cmd,
        entrypoint=entrypoint,
        healthcheck=_merged_health(wish.healthcheck, below.healthcheck),
        working_dir=wish.working_dir or below.working_dir,
        volumes={**below.volumes, **wish.volumes},
        stop_signal=wish.stop_signal or below.stop_signal,
    )


def _merged_health(wish: Healthcheck | None, below: Healthcheck | None) -> Healthcheck | None:
    """Member by member: a new command keeps the interval that the container was given."""
    if wish is None or below is None:
        return wish or below
    return Healthcheck(**{name: getattr(wish, name) or getattr(below, name) for name in Healthcheck.__struct_fields__})


class _Buffer:
    """Gathers the small writes of a tar."""

    def __init__(self, target: Ingest) -> None:
        self._target = target
        self._held = bytearray()

    def write(self, data: bytes, /) -> None:
        if len(data) >= _BUFFER_BYTES:
            self.flush()
            self._target.write(data)
            return
        self._held += data
        if len(self._held) >= _BUFFER_BYTES:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._target.write(self._held)
            self._held = bytearray()
