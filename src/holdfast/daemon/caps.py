# SPDX-License-Identifier: Apache-2.0
"""The options that say how much untrusted input may cost: what an archive may unpack to, how large a document may be.

The defaults stop bombs; who has a larger image raises the one that the refusal names. Pure; called by `daemon.config`
(`check`) and `daemon.wiring`. Source: security.md, "Untrusted bytes meet a limit before a parser".
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdfast.content import compression
from holdfast.errors import InvalidArgument
from holdfast.oci import strict
from holdfast.snapshots import tar

if TYPE_CHECKING:
    from holdfast.daemon.config import Config

_LARGEST_NUMBER = 1 << 62


def check(options: Config) -> None:
    """Refuses numbers that are no limits."""
    for name, value, largest in (
        ("max-unpacked-size", options.max_unpacked_bytes, _LARGEST_NUMBER),
        ("max-unpacked-entries", options.max_unpacked_entries, _LARGEST_NUMBER),
        ("max-expansion-ratio", options.max_expansion_ratio, _LARGEST_NUMBER),
        ("max-manifest-size", options.max_manifest_bytes, strict.STORED_MAX_BYTES // 2),
        ("max-attributes-size", options.max_attributes_bytes, strict.STORED_MAX_BYTES),
    ):
        if not 1 <= value <= largest:
            raise InvalidArgument(f"invalid {name}: {value} is not between 1 and {largest}")


def of_streams(options: Config) -> compression.Limits:
    """For whatever arrives compressed."""
    return compression.Limits(total_bytes=options.max_unpacked_bytes, ratio=options.max_expansion_ratio)


def of_archives(options: Config) -> tar.Limits:
    """For layers and for archives that are copied into containers."""
    return tar.Limits(
        header_bytes=options.max_attributes_bytes,
        entries=options.max_unpacked_entries,
        total_bytes=options.max_unpacked_bytes,
        xattr_bytes=options.max_attributes_bytes,
    )


def of_documents(options: Config) -> strict.Limits:
    """For manifests, indexes and image configs."""
    return strict.Limits(options.max_manifest_bytes)
