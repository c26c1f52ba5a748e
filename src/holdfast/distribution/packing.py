# SPDX-License-Identifier: Apache-2.0
"""Compressing a layer for a push: the same tar gives the same gzip blob, on every machine with the same libraries.

No name and no time go into the header, and the level is fixed. The result is a blob of the content store like any
other, kept as long as a lease or an image wants it. Blocking; compression runs outside the GIL.
Called by `distribution.push` for layers that were never pulled: committed, imported or loaded ones.
"""

from __future__ import annotations

import importlib
import threading
import zlib
from collections.abc import Callable
from typing import Any

from holdfast import content
from holdfast.oci import digest as digests
from holdfast.oci import media
from holdfast.oci.descriptor import Descriptor

_READ_BYTES = 1 << 20
_GZIP_WINDOW = 31
_ISAL_LEVEL = 2
_ZLIB_LEVEL = 6
PLAIN = {media.OCI_LAYER: media.OCI_LAYER_GZIP, media.DOCKER_LAYER: media.DOCKER_LAYER_GZIP}


def pack(plain: Descriptor, store: content.Store, on_read: Callable[[int], None]) -> Descriptor:
    """Writes the gzip form of an uncompressed layer blob into the store; `on_read` gets the bytes read so far.

    Corrupt when the disk has changed the blob.
    """
    compressor = _compressor()
    hasher = digests.Hasher(digests.algorithm(plain.digest))
    name = f"pack-{plain.digest}-{threading.get_ident()}"
    done = 0
    with store.open(plain.digest) as source, store.ingest(name, resumable=False) as blob:
        while chunk := source.read(_READ_BYTES):
            done += len(chunk)
            hasher.update(chunk)
            if data := compressor.compress(chunk):
                blob.write(data)
            on_read(done)
        if hasher.digest() != plain.digest:
            store.verify(plain.digest)
        blob.write(compressor.flush())
        size = blob.offset
        return Descriptor(PLAIN[plain.media_type], blob.commit(), size)


def _compressor() -> Any:
    try:
        isal: Any = importlib.import_module("isal.isal_zlib")
    except ImportError:  # a platform without wheels
        return zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return isal.compressobj(_ISAL_LEVEL, isal.DEFLATED, _GZIP_WINDOW)
