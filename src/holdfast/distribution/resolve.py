# SPDX-License-Identifier: Apache-2.0
"""From a reference to one image's manifest: which endpoint answers, which platform fits.

Blocking. Called by `distribution.pull`. Source: OCI image-spec v1.1 §image-index; the texts of dockerd 28.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from holdfast.distribution.answers import Refused
from holdfast.distribution.cancellation import Cancellation
from holdfast.distribution.http import Unreachable
from holdfast.distribution.remote import Document, RegistryDown, Remote
from holdfast.errors import Corrupt, HoldfastError, Internal, InvalidArgument, NotFound, Unauthenticated
from holdfast.oci import image, media
from holdfast.oci.platform import Platform
from holdfast.oci.reference import Reference

INDEX_MAX_DEPTH = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a reference stands for: `top` is what the tag or digest names, `document` the platform's manifest."""

    remote: Remote
    top: Document
    document: Document
    manifest: image.Manifest


def resolve(
    remotes: Iterable[Remote], reference: Reference, platform: Platform, cancellation: Cancellation
) -> Resolved:
    """The reference's manifest for the platform; NotFound, Unauthenticated, InvalidArgument, or nobody answers."""
    remote, top = look_up(remotes, reference, cancellation)
    document, manifest = _descend(remote, top, reference, platform, cancellation)
    return Resolved(remote=remote, top=top, document=document, manifest=manifest)


def look_up(
    remotes: Iterable[Remote],
    reference: Reference,
    cancellation: Cancellation,
    translate: Callable[[HoldfastError, Reference], HoldfastError] | None = None,
) -> tuple[Remote, Document]:
    """What the tag or digest names, and who said so; `translate` words a refusal, for a pull unless it is given.

    Asks one endpoint after the other; the last one's failure is raised when none can be reached. A mirror that has not
    got it, or lies, is no answer.
    """
    failure: HoldfastError | None = None
    for remote in remotes:
        try:
            return remote, remote.manifest(reference.digest or reference.tag or "latest", cancellation)
        except (Unreachable, RegistryDown) as error:
            failure = error
        except (Refused, Unauthenticated) as error:
            failure = (translate or translated)(error, reference)
            if not remote.endpoint.is_mirror:
                raise failure from error
        except (Corrupt, InvalidArgument) as error:
            failure = error
            if not remote.endpoint.is_mirror:
                raise
    raise failure or Internal(f"no endpoint for {reference.familiar}")


def translated(failure: HoldfastError, reference: Reference) -> HoldfastError:
    """A refusal in the words that the CLI and docker-py look for."""
    if not isinstance(failure, Refused):
        return failure
    if failure.code == "DENIED" or (failure.code == "UNAUTHORIZED" and failure.status == 403):
        return NotFound(
            f"pull access denied for {reference.familiar_name}, repository does not exist or may require "
            f"'docker login': {failure.message}"
        )
    if failure.code == "MANIFEST_UNKNOWN":
        return NotFound(f"manifest for {reference.familiar} not found: {failure.message}")
    if failure.code == "NAME_UNKNOWN":
        return NotFound(f"repository {reference.familiar_name} not found: {failure.message}")
    if failure.status == 404:
        return NotFound(f"manifest for {reference.familiar} not found: {failure.message}")
    if failure.status == 401:
        return Unauthenticated(failure.message)
    return failure


def untranslated(failure: HoldfastError, reference: Reference) -> HoldfastError:
    """A refusal in the registry's own words, for those who asked the registry and not for an image."""
    if isinstance(failure, Refused) and failure.status == 404:
        return NotFound(failure.message)
    return translated(failure, reference) if isinstance(failure, Refused) and failure.status == 401 else failure


def _descend(
    remote: Remote, top: Document, reference: Reference, platform: Platform, cancellation: Cancellation
) -> tuple[Document, image.Manifest]:
    """Through the indexes to the manifest of the platform."""
    document = top
    for _ in range(INDEX_MAX_DEPTH):
        parsed = image.decode(document.data, document.media_type)
        if isinstance(parsed, image.Manifest):
            _check_image(parsed)
            return document, parsed
        chosen = image.choose(parsed, platform)
        if chosen is None:
            raise NotFound(f"no matching manifest for {platform} in the manifest list entries")
        try:
            document = remote.manifest(chosen.digest, cancellation)
        except Refused as refusal:
            raise translated(refusal, reference.with_digest(chosen.digest)) from refusal
        if document.media_type and (document.media_type in media.INDEXES) is not (chosen.media_type in media.INDEXES):
            raise InvalidArgument(
                f"manifest {chosen.digest} is of type {document.media_type}, its index says {chosen.media_type}"
            )
        if len(document.data) != chosen.size:
            raise InvalidArgument(
                f"manifest {chosen.digest} has {len(document.data)} bytes, its index says {chosen.size}"
            )
    raise InvalidArgument(f"{reference.familiar}: indexes are nested too deeply")


def _check_image(manifest: image.Manifest) -> None:
    """Refuses what is an artifact and no image."""
    if manifest.config.media_type not in media.CONFIGS:
        raise InvalidArgument(f'unsupported media type "{manifest.config.media_type}": this is not a container image')
    for layer in manifest.layers:
        if layer.media_type not in media.LAYERS:
            raise InvalidArgument(f'unsupported layer media type "{layer.media_type}"')
