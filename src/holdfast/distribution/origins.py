# SPDX-License-Identifier: Apache-2.0
"""What is known of a layer's compressed forms: their digests, and the repositories that have them.

A push asks here before it compresses or uploads: a form that the registry has already is not sent again, and one in a
neighbouring repository is mounted. Only hints: a registry's answer decides. Written by pulls and pushes, kept in
`metadata`, bucket `origins`, key diff id.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from holdfast.errors import Corrupt, HoldfastError
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdfast.metadata import Store
    from holdfast.oci.reference import Reference

BUCKET = "origins"
_MOST = 16


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """One form of a layer in one repository.

    `is_verified`: it was unpacked here to that diff id, or packed here from it. Only such a form may stand for another;
    an unverified one is what some manifest says, good for asking for a mount of just that blob.
    """

    media_type: str
    digest: Digest
    size: int
    domain: str
    path: str
    is_verified: bool = False

    @property
    def descriptor(self) -> Descriptor:
        """What a manifest would say of it."""
        return Descriptor(self.media_type, self.digest, self.size)

    @classmethod
    def at(cls, descriptor: Descriptor, repository: Reference, *, is_verified: bool) -> Origin:
        """The form that a manifest of the repository names."""
        return cls(
            media_type=descriptor.media_type,
            digest=descriptor.digest,
            size=descriptor.size,
            domain=repository.domain,
            path=repository.path,
            is_verified=is_verified,
        )


class Origins:
    """The memory of one daemon; thread-safe, the latest origins of each layer only."""

    def __init__(self, metadata: Store) -> None:
        self._metadata = metadata

    def of(self, diff_id: Digest) -> list[Origin]:
        """What is known, the newest first."""
        try:
            data = self._metadata.get(BUCKET, diff_id)
            return msgspec.json.decode(data, type=list[Origin]) if data else []
        except (Corrupt, msgspec.MsgspecError):
            return []

    def add(self, found: Iterable[tuple[Digest, Origin]]) -> None:
        """Remembers where layers were seen; one write when there is news, none otherwise. One that fails is no loss."""
        news: dict[Digest, list[Origin]] = {}
        for diff_id, origin in found:
            known = news.get(diff_id) or self.of(diff_id)
            if origin not in known:
                news[diff_id] = [origin, *known][:_MOST]
        if news:
            with suppress(HoldfastError), self._metadata.transaction(durable=False) as transaction:
                for diff_id, origins in news.items():
                    transaction.put(BUCKET, diff_id, msgspec.json.encode(origins))
