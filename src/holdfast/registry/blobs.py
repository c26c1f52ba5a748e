# SPDX-License-Identifier: Apache-2.0
"""Blobs over HTTP: reading them whole, in part or not at all, and the uploads that bring them.

Source: OCI distribution-spec v1.1 §pulling-blobs §pushing-blobs; RFC 9110 §13, §14.
"""

from __future__ import annotations

import os
import re

from holdfast import content
from holdfast.errors import Corrupt
from holdfast.oci import digest as digests
from holdfast.oci.digest import Digest
from holdfast.registry.catalogue import Catalogue
from holdfast.registry.http import Answer, FileSpan, Request
from holdfast.registry.refusals import Refusal
from holdfast.registry.sessions import Session, Sessions

_BYTES = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_CONTENT_RANGE = re.compile(r"(?:bytes )?(\d{1,18})-(\d{1,18})(?:/(?:\d{1,18}|\*))?", re.ASCII)
_FOREVER = "max-age=31536000"


class Blobs:
    """The handlers for `/v2/<name>/blobs/…`."""

    def __init__(self, store: content.Store, catalogue: Catalogue, sessions: Sessions) -> None:
        self._store = store
        self._catalogue = catalogue
        self._sessions = sessions

    # reading

    def get(self, request: Request, name: str, text: str) -> Answer:
        """GET and HEAD: the bytes, a range of them, or 304."""
        digest = parse_digest(text)
        if not self._catalogue.has_blob(name, digest):
            raise Refusal("BLOB_UNKNOWN", f"blob unknown to registry: {digest}")
        headers = {
            "Content-Type": "application/octet-stream",
            "Docker-Content-Digest": digest,
            "Etag": f'"{digest}"',
            "Cache-Control": _FOREVER,
            "Accept-Ranges": "bytes",
        }
        if is_known(request, digest):
            return Answer(status=304, headers=headers)
        try:
            fd = os.open(self._store.path(digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise Refusal("BLOB_UNKNOWN", f"blob unknown to registry: {digest}") from None
        try:
            size = os.fstat(fd).st_size
            status, span = 200, (0, size)
            if_range = request.headers.get("if-range", "")
            if not request.is_head and (not if_range or if_range == headers["Etag"]):
                wanted = plan_range(request.headers.get("range", ""), size)
                if wanted is not None:
                    status, span = 206, wanted
                    headers["Content-Range"] = f"bytes {span[0]}-{span[0] + span[1] - 1}/{size}"
        except BaseException:
            os.close(fd)
            raise
        return Answer(status=status, headers=headers, body=FileSpan(fd=fd, offset=span[0], length=span[1]))

    def delete(self, request: Request, name: str, text: str) -> Answer:
        """DELETE: the repository has it no longer; the bytes go with the next collection."""
        self._catalogue.drop_blob(name, parse_digest(text))
        return Answer(status=202)

    # uploading

    def begin(self, request: Request, name: str, may_read: bool) -> Answer:
        """POST: a mount, a whole blob, or a session. `may_read`: the client may pull from the repository to mount from."""
        if mounted := request.query.get("mount"):
            digest = parse_digest(mounted)
            if may_read and self._catalogue.mount(request.query.get("from", ""), name, digest):
                return _made(name, digest)
        if whole := request.query.get("digest"):
            return self._take_whole(request, name, parse_digest(whole))
        return _progress(self._sessions.open(name), 202)

    def status(self, request: Request, name: str, identifier: str) -> Answer:
        """GET: how far the upload came."""
        with self._sessions.at_work(name, identifier) as session:
            return _progress(session, 204)

    def patch(self, request: Request, name: str, identifier: str) -> Answer:
        """PATCH: the next bytes."""
        with self._sessions.at_work(name, identifier) as session:
            self._receive(request, session)
            return _progress(session, 202)

    def finish(self, request: Request, name: str, identifier: str) -> Answer:
        """PUT: the last bytes, if any, and the digest that all of them must have."""
        digest = parse_digest(request.query.get("digest", ""))
        with self._sessions.at_work(name, identifier) as session, self._store.lease():
            self._receive(request, session)
            try:
                session.ingest.commit(digest)
            except Corrupt as error:
                raise Refusal(
                    "DIGEST_INVALID", f"provided digest did not match uploaded content: {error.message}"
                ) from None
            finally:
                self._sessions.end(session)
            self._catalogue.link(name, digest)
        return _made(name, digest)

    def cancel(self, request: Request, name: str, identifier: str) -> Answer:
        """DELETE: the upload is given up."""
        with self._sessions.at_work(name, identifier) as session:
            self._sessions.end(session)
        return Answer(status=204)

    def _take_whole(self, request: Request, name: str, digest: Digest) -> Answer:
        with self._store.lease():
            session = self._sessions.open(name)
            try:
                for piece in request.body.pieces():
                    session.ingest.write(piece)
                session.ingest.commit(digest)
            except Corrupt as error:
                raise Refusal(
                    "DIGEST_INVALID", f"provided digest did not match uploaded content: {error.message}"
                ) from None
            finally:
                self._sessions.end(session)
            self._catalogue.link(name, digest)
        return _made(name, digest)

    def _receive(self, request: Request, session: Session) -> None:
        """Appends the body; Refusal when it begins elsewhere than where the upload ends."""
        begin, length = session.ingest.offset, request.body.length
        given = request.headers.get("content-range", "")
        if given:
            found = _CONTENT_RANGE.fullmatch(given)
            is_next = found is not None and int(found[1]) == begin
            if found is None or not is_next or (length and int(found[2]) - int(found[1]) + 1 != length):
                raise Refusal(
                    "RANGE_INVALID",
                    f"the upload has {begin} bytes: go on from there",
                    headers=_headers(session),
                )
        for piece in request.body.pieces():
            session.ingest.write(piece)


def _made(name: str, digest: Digest) -> Answer:
    headers = {"Location": f"/v2/{name}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Answer(status=201, headers=headers)


def _progress(session: Session, status: int) -> Answer:
    return Answer(status=status, headers=_headers(session))


def _headers(session: Session) -> dict[str, str]:
    """Locations are relative: what stands before this registry (a proxy, TLS) is none of its business."""
    return {
        "Location": f"/v2/{session.name}/blobs/uploads/{session.identifier}",
        "Range": f"0-{max(0, session.ingest.offset - 1)}",
        "Docker-Upload-Uuid": session.identifier,
    }


def parse_digest(text: str) -> Digest:
    """The digest; Refusal DIGEST_INVALID for anything that is not exactly one."""
    if not digests.is_digest(text):
        raise Refusal("DIGEST_INVALID", f"invalid digest: {text[:160]!r}")
    return Digest(text)


def is_known(request: Request, digest: Digest) -> bool:
    """Tells whether the client says that it has these bytes (`If-None-Match`)."""
    given = request.headers.get("if-none-match", "")
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in given.split(",")] if given else []
    return digest in tags or "*" in tags


def plan_range(header: str, size: int) -> tuple[int, int] | None:
    """(offset, length) of the one range asked for, None for the whole; Refusal 416 for one outside. Pure."""
    found = _BYTES.fullmatch(header.strip())
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        begin, end = size - length, size - 1
    else:
        begin, end = int(found[1]), min(int(found[2]) if found[2] else size - 1, size - 1)
        if found[2] and int(found[2]) < begin:
            return None
    if begin >= size or end < begin:
        raise Refusal("RANGE_INVALID", f"the blob has {size} bytes", headers={"Content-Range": f"bytes */{size}"})
    return begin, end - begin + 1
