# SPDX-License-Identifier: Apache-2.0
"""The image that is always there: `hello-world`, made by our own code, without a network.

Its digests depend on nothing but the architecture. The daemon calls `ensure` at each start; once it has been put in,
a user who removes it is not given it again.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import msgspec

from holdfast.images import elf
from holdfast.images.archive_load import compose_manifest
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import media
from holdfast.oci import reference as references
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.platform import Platform
from holdfast.snapshots.tar import Entry, Writer

if TYPE_CHECKING:
    from holdfast.images.store import Store
    from holdfast.oci.digest import Digest

NAME = "hello-world:latest"
CREATED = "2026-01-01T00:00:00Z"
_CREATED_NANOS = 1767225600 * 10**9
_BUCKET = "builtin"
TEXT = b"""
Hello from Holdfast!
This message shows that your installation works.

To print it, Holdfast took these steps:
 1. The client asked the daemon over its socket for a new container.
 2. The daemon found the "hello-world" image, which it brings along.
 3. The runtime made a file system, namespaces and control groups for it,
    and ran the program that writes what you are reading.
 4. The shim passed the output on to your terminal.

To try something more ambitious, run a shell in a container:
 $ hold run -it alpine sh

"""


def ensure(store: Store, platform: Platform) -> Digest | None:
    """Puts the image in unless it was put in before or the name is taken; returns its id if it did."""
    if store.metadata.get(_BUCKET, NAME) is not None or platform.architecture not in ("amd64", "arm64"):
        return None
    if store.owner_of(references.parse(NAME)) is not None:
        return None
    with store.content.lease():
        image = build(store, platform)
        store.tag(image, NAME)
    with store.metadata.transaction() as transaction:
        transaction.put(_BUCKET, NAME, image.encode())
    return image


def build(store: Store, platform: Platform) -> Digest:
    """Makes the image and returns its id, without naming it."""
    layer = layer_tar(elf.hello(TEXT, platform.architecture))
    diff_id = store.content.put(layer)
    if not store.has_chain(diff_id):
        store.unpack(io.BytesIO(layer), None, expected=diff_id)
    raw_config = msgspec.json.encode(config(diff_id, platform))
    config_digest = store.content.put(raw_config)
    descriptor = Descriptor(media.OCI_CONFIG, config_digest, len(raw_config))
    return store.add(compose_manifest(store, descriptor, [Descriptor(media.OCI_LAYER, diff_id, len(layer))]))


def layer_tar(program: bytes) -> bytes:
    """The one layer: the program as `/hello`."""
    buffer = io.BytesIO()
    writer = Writer(buffer)
    writer.add(Entry(b"hello", mode=0o755, size=len(program), mtime_nanos=_CREATED_NANOS), program)
    writer.close()
    return buffer.getvalue()


def config(diff_id: Digest, platform: Platform) -> documents.ImageConfig:
    """The image config."""
    return documents.ImageConfig(
        created=CREATED,
        architecture=platform.architecture,
        os="linux",
        config=documents.RunConfig(
            env=("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",), cmd=("/hello",)
        ),
        rootfs=documents.RootFS(diff_ids=(digests.parse(diff_id),)),
        history=(documents.History(created=CREATED, created_by="holdfast: built in"),),
    )
