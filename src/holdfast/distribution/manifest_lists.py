# SPDX-License-Identifier: Apache-2.0
"""Manifests and lists of manifests in registries, read and put together without an image store.

What `hold manifest` does at a registry: look at what a reference names, and push a list whose images lie in the same
registry, mounting the blobs of those in other repositories. The only part of the package that the CLI calls, in its own
process: mirrors are not asked, and credentials are the user's own. Blocking.
Source: OCI distribution-spec v1.1; the texts of docker 28.2's `docker manifest`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from holdfast.distribution import uploads
from holdfast.distribution.answers import Refused
from holdfast.distribution.cancellation import Cancellation
from holdfast.distribution.credentials import Credentials
from holdfast.distribution.http import Unreachable
from holdfast.distribution.push import put_manifest
from holdfast.distribution.registries import Registries
from holdfast.distribution.remote import Document, RegistryDown, Remote
from holdfast.errors import HoldfastError, Internal, InvalidArgument, NotFound, Unavailable
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci.descriptor import Descriptor
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One image's manifest as the registry has it; the descriptor's platform is the config's."""

    descriptor: Descriptor
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """An image of a list to be pushed: the repository that has it, and its manifest."""

    repository: Reference
    descriptor: Descriptor
    data: bytes


class ManifestLists:
    """One user's view of the registries."""

    def __init__(self, registries: Registries, credentials: Credentials) -> None:
        self._registries = registries
        self._credentials = credentials
        self._never = Cancellation()

    def look_at(self, reference: Reference) -> Found | tuple[Descriptor, ...]:
        """The image's manifest, or the entries of the list, that the reference names; NotFound `no such manifest: …`."""
        remote, document = self._document(reference)
        parsed = documents.decode(document.data, document.media_type)
        if isinstance(parsed, documents.Index):
            return parsed.manifests
        return self._found(remote, document, parsed)

    def image(self, reference: Reference) -> Found:
        """The image's manifest; InvalidArgument when the reference names a list."""
        found = self.look_at(reference)
        if isinstance(found, tuple):
            raise InvalidArgument(f"{reference} is a manifest list")
        return found

    def push(
        self,
        target: Reference,
        members: Iterable[Member],
        data: bytes,
        media_type: str,
        told: Callable[[Reference], None],
    ) -> None:
        """Stores the list under the target's name; `told` gets each manifest that the target repository lacked before.

        The repository may keep manifests of a push that fails later: nothing names them.
        """
        remote = self._reach(target)
        for member in members:
            if member.repository.path != target.path:
                self._mount(remote, member, target)
                digest = member.descriptor.digest
                put_manifest(remote, digest, member.data, member.descriptor.media_type, self._never)
                told(target.with_digest(digest))
        put_manifest(remote, target.digest or target.tag or "latest", data, media_type, self._never)

    def _mount(self, remote: Remote, member: Member, target: Reference) -> None:
        """Makes the blobs of a member blobs of the target's repository."""
        manifest = documents.decode(member.data, member.descriptor.media_type)
        if not isinstance(manifest, documents.Manifest):
            raise InvalidArgument(f"{member.repository} is a manifest list")
        for blob in (manifest.config, *manifest.layers):
            if blob.media_type in media.FOREIGN_LAYERS or uploads.has_blob(remote, blob, self._never):
                continue
            if not uploads.mount(remote, blob.digest, member.repository.path, self._never):
                raise Unavailable(f"error mounting {member.repository.path}@{blob.digest} to {target}")

    def _found(self, remote: Remote, document: Document, manifest: documents.Manifest) -> Found:
        kind = document.media_type or manifest.media_type or media.OCI_MANIFEST
        platform = self._platform(remote, manifest.config)
        return Found(
            descriptor=Descriptor(kind, document.digest, len(document.data), platform=platform), data=document.data
        )

    def _platform(self, remote: Remote, config: Descriptor) -> Platform:
        data = remote.small_blob(config.digest, strict.CONFIG_MAX_BYTES, self._never)
        return strict.decode(data, Platform, "image config", max_bytes=strict.CONFIG_MAX_BYTES)

    def _document(self, reference: Reference) -> tuple[Remote, Document]:
        def read(remote: Remote) -> tuple[Remote, Document]:
            return remote, remote.manifest(reference.digest or reference.tag or "latest", self._never)

        try:
            return _first(self._registries.readers(reference, self._credentials), read, reference)
        except Refused as refusal:
            if refusal.status == 404:
                raise NotFound(f"no such manifest: {reference}") from refusal
            raise

    def _reach(self, target: Reference) -> Remote:
        def probe(remote: Remote) -> Remote:
            remote.probe(self._never)
            return remote

        return _first(self._registries.writers(target, self._credentials), probe, target)


def _first(remotes: Iterator[Remote], ask: Callable[[Remote], R], reference: Reference) -> R:
    """The first answer of the registry's own endpoints; the last failure when none of them can be reached."""
    failure: HoldfastError | None = None
    for remote in remotes:
        if remote.endpoint.is_mirror:
            continue
        try:
            return ask(remote)
        except (Unreachable, RegistryDown) as error:
            failure = error
    raise failure or Internal(f"no endpoint for {reference}")
