# SPDX-License-Identifier: Apache-2.0
"""Manifests, tags, the catalogue of repositories, and referrers, over HTTP.

A manifest is kept byte for byte; what is read from it is checked first, and everything that it names must be there.
Source: OCI distribution-spec v1.1 §pulling-manifests, §pushing-manifests, §listing-tags, §listing-referrers;
`_catalog` is distribution's (bounded: CVE-2023-2253).
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import msgspec

from holdfast import content
from holdfast.errors import InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci import image as documents
from holdfast.oci import media, strict
from holdfast.oci import reference as references
from holdfast.oci.digest import Digest
from holdfast.registry.blobs import is_known, parse_digest
from holdfast.registry.catalogue import Catalogue, Record
from holdfast.registry.http import Answer, Request
from holdfast.registry.refusals import Refusal

PAGE_MAX = 1000
PAGE_DEFAULT = 100
_JSON = {"Content-Type": "application/json"}


class Manifests:
    """The handlers for everything that is not a blob."""

    def __init__(self, store: content.Store, catalogue: Catalogue) -> None:
        self._store = store
        self._catalogue = catalogue

    def get(self, request: Request, name: str, reference: str) -> Answer:
        """GET and HEAD of a manifest by tag or digest."""
        digest, record = self._catalogue.resolve(name, check_reference(reference))
        headers = {
            "Content-Type": record.media_type,
            "Docker-Content-Digest": digest,
            "Etag": f'"{digest}"',
        }
        if is_known(request, digest):
            return Answer(status=304, headers=headers)
        if request.is_head:
            return Answer(headers={**headers, "Content-Length": str(record.size)})
        return Answer(headers=headers, body=self._store.read(digest, strict.MANIFEST_MAX_BYTES))

    def put(self, request: Request, name: str, reference: str) -> Answer:
        """PUT of a manifest under a tag or its own digest."""
        check_reference(reference)
        data = request.body.read(strict.MANIFEST_MAX_BYTES)
        digest, tag = digests.of(data), reference
        if digests.is_digest(reference):
            digest, tag = _hashed(data, Digest(reference)), ""
            if digest != reference:
                raise Refusal("DIGEST_INVALID", f"provided digest did not match uploaded content: it has {digest}")
        record = read_record(data, request.headers.get("content-type", ""))
        with self._store.lease() as lease:
            lease.add(digest)
            self.keep(data, digest)
            self._catalogue.put_manifest(name, digest, record, tag)
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if record.subject:
            headers["OCI-Subject"] = record.subject
        return Answer(status=201, headers=headers)

    def keep(self, data: bytes, digest: Digest) -> None:
        """Stores a manifest's bytes; the caller holds a lease on the digest."""
        if not self._store.has(digest):
            with self._store.ingest(f"manifest-{id(data)}", digest, len(data), resumable=False) as blob:
                blob.write(data)
                blob.commit()

    def delete(self, request: Request, name: str, reference: str) -> Answer:
        """DELETE of a tag, or by digest of the manifest with all its tags."""
        if digests.is_digest(check_reference(reference)):
            self._catalogue.drop_manifest(name, Digest(reference))
        else:
            self._catalogue.drop_tag(name, reference)
        return Answer(status=202)

    def tags(self, request: Request, name: str) -> Answer:
        """GET of the list of tags; a page of it when `n` is given."""
        return self.page_of_tags(request, name, self._catalogue.tags(name))

    def page_of_tags(self, request: Request, name: str, found: list[str]) -> Answer:
        """The part of a sorted list that was asked for."""
        last = request.query.get("last", "")
        remaining = [tag for tag in found if tag > last]
        headers = dict(_JSON)
        if "n" in request.query:
            count = page_size(request, len(remaining))
            if len(remaining) > count:
                remaining = remaining[:count]
                headers["Link"] = _next(f"/v2/{name}/tags/list", remaining[-1] if remaining else last, count)
        return Answer(headers=headers, body=_json({"name": name, "tags": remaining}))

    def repositories(self, request: Request) -> Answer:
        """GET of the catalogue; a hundred names unless `n` says otherwise, a thousand at most."""
        count = page_size(request, PAGE_DEFAULT)
        found = self._catalogue.names(request.query.get("last", ""), count + 1)
        headers = dict(_JSON)
        if len(found) > count:
            found = found[:count]
            headers["Link"] = _next("/v2/_catalog", found[-1] if found else "", count)
        return Answer(headers=headers, body=_json({"repositories": found}))

    def referrers(self, request: Request, name: str, text: str) -> Answer:
        """GET of an index of the manifests that have this one as their subject."""
        wanted = request.query.get("artifactType", "")
        entries = [
            _described(digest, record)
            for digest, record in self._catalogue.referrers(name, parse_digest(text))
            if not wanted or record.artifact_type == wanted
        ]
        headers = {"Content-Type": media.OCI_INDEX}
        if wanted:
            headers["OCI-Filters-Applied"] = "artifactType"
        return Answer(
            headers=headers, body=_json({"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": entries})
        )


def read_record(data: bytes, content_type: str) -> Record:
    """What is to be known of a manifest that a client sent; Refusal MANIFEST_INVALID. Pure."""
    media_type = content_type.partition(";")[0].strip()
    if media_type not in media.MANIFESTS | media.INDEXES:
        raise Refusal("MANIFEST_INVALID", f"unsupported manifest media type: {media_type[:100]!r}")
    try:
        parsed = documents.decode(data, media_type)
    except InvalidArgument as error:
        raise Refusal("MANIFEST_INVALID", f"manifest invalid: {error.message}") from None
    if isinstance(parsed, documents.Index):
        return Record(
            media_type,
            len(data),
            manifests=tuple(dict.fromkeys(entry.digest for entry in parsed.manifests)),
            subject=parsed.subject.digest if parsed.subject else "",
            artifact_type=parsed.artifact_type,
            annotations=parsed.annotations,
        )
    layers = [layer.digest for layer in parsed.layers if layer.media_type not in media.FOREIGN_LAYERS]
    return Record(
        media_type,
        len(data),
        blobs=tuple(dict.fromkeys([parsed.config.digest, *layers])),
        subject=parsed.subject.digest if parsed.subject else "",
        artifact_type=parsed.artifact_type or parsed.config.media_type,
        annotations=parsed.annotations,
    )


def check_reference(text: str) -> str:
    """A tag or a digest; Refusal for anything else."""
    if ":" in text:
        return parse_digest(text)
    if not references.is_tag(text):
        raise Refusal("TAG_INVALID", f"invalid tag: {text[:160]!r}")
    return text


def page_size(request: Request, default: int) -> int:
    """The `n` of a paged list; Refusal above the largest page and for what is no number."""
    text = request.query.get("n", "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) <= PAGE_MAX):
        raise Refusal("PAGINATION_NUMBER_INVALID", f"invalid number of results: {text[:40]!r}, at most {PAGE_MAX}")
    return int(text)


def _next(path: str, last: str, count: int) -> str:
    return f'<{path}?last={quote(last, safe="")}&n={count}>; rel="next"'


def _described(digest: Digest, record: Record) -> dict[str, Any]:
    entry: dict[str, Any] = {"mediaType": record.media_type, "digest": digest, "size": record.size}
    if record.artifact_type:
        entry["artifactType"] = record.artifact_type
    if record.annotations:
        entry["annotations"] = record.annotations
    return entry


def _hashed(data: bytes, like: Digest) -> Digest:
    hasher = digests.Hasher(digests.algorithm(like))
    hasher.update(data)
    return hasher.digest()


def _json(value: object) -> bytes:
    return msgspec.json.encode(value) + b"\n"
