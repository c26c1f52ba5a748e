# SPDX-License-Identifier: Apache-2.0
"""Content digests: strict parsing, and hashing of bytes as they pass.

A `Digest` that came out of `parse` is safe to put into a path: a registered algorithm, a colon, lower-case hex of the
right length. Everything that takes a digest from outside must go through `parse` first.
Source: OCI image-spec v1.1 §descriptor "Digests".
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NewType

from holdfast.errors import InvalidArgument

if TYPE_CHECKING:
    from typing import TypeAlias

    Buffer: TypeAlias = bytes | bytearray | memoryview

Digest = NewType("Digest", str)

ALGORITHM = "sha256"
_HEX_LENGTHS = {"sha256": 64, "sha512": 128}
_SHAPE = re.compile(r"(sha256|sha512):([0-9a-f]+)", re.ASCII)


def parse(text: str) -> Digest:
    """Returns the text as a digest; raises InvalidArgument unless it is exactly of the specified form."""
    match = _SHAPE.fullmatch(text)
    if match is None or len(match[2]) != _HEX_LENGTHS[match[1]]:
        raise InvalidArgument(f"invalid digest {text[:160]!r}: expected sha256:<64 lower-case hexadecimal characters>")
    return Digest(text)


def is_digest(text: str) -> bool:
    """Tells whether `parse` would accept the text."""
    match = _SHAPE.fullmatch(text)
    return match is not None and len(match[2]) == _HEX_LENGTHS[match[1]]


def of(data: Buffer) -> Digest:
    """The sha256 digest of the bytes."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def algorithm(digest: Digest) -> str:
    """`sha256` of `sha256:abc`."""
    return digest.partition(":")[0]


def encoded(digest: Digest) -> str:
    """The hexadecimal part, fit for a file name."""
    return digest.partition(":")[2]


def short(digest: Digest) -> str:
    """The twelve characters that Docker's tables show."""
    return encoded(digest)[:12]


class Hasher:
    """Hashes a stream; `update` releases the GIL for buffers above 2 KiB."""

    __slots__ = ("_algorithm", "_state")

    def __init__(self, algorithm: str = ALGORITHM) -> None:
        if algorithm not in _HEX_LENGTHS:
            raise InvalidArgument(f"unsupported digest algorithm {algorithm!r}")
        self._algorithm = algorithm
        self._state = hashlib.new(algorithm)

    def update(self, data: Buffer) -> None:
        self._state.update(data)

    def digest(self) -> Digest:
        return Digest(f"{self._algorithm}:{self._state.hexdigest()}")


def chain(parent: Digest | None, diff_id: Digest) -> Digest:
    """The chain id of a layer on its parent chain (OCI image-spec §layer-chainid)."""
    if parent is None:
        return diff_id
    return of(f"{parent} {diff_id}".encode())


def chains(diff_ids: list[Digest] | tuple[Digest, ...]) -> list[Digest]:
    """The chain ids of all layers, base first."""
    result: list[Digest] = []
    parent: Digest | None = None
    for diff_id in diff_ids:
        parent = chain(parent, diff_id)
        result.append(parent)
    return result
