# SPDX-License-Identifier: Apache-2.0
"""Which handler a request is for, and what it must be allowed to do. Pure but for the handlers themselves.

Paths come decoded, once; names, tags and digests are held against their grammars before anything else sees them.
Source: OCI distribution-spec v1.1 §endpoints.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from holdfast.oci import reference as references
from holdfast.registry.access import DELETE, PULL, PUSH, Scope
from holdfast.registry.blobs import Blobs
from holdfast.registry.http import Answer, Request
from holdfast.registry.manifests import Manifests
from holdfast.registry.refusals import Refusal

API_VERSION = {"Docker-Distribution-Api-Version": "registry/2.0"}
_UPLOAD = re.compile(r"/v2/(.{1,600})/blobs/uploads/([0-9a-f]{32})?", re.DOTALL)
_BLOB = re.compile(r"/v2/(.{1,600})/blobs/([^/]{1,300})", re.DOTALL)
_MANIFEST = re.compile(r"/v2/(.{1,600})/manifests/([^/]{1,300})", re.DOTALL)
_TAGS = re.compile(r"/v2/(.{1,600})/tags/list", re.DOTALL)
_REFERRERS = re.compile(r"/v2/(.{1,600})/referrers/([^/]{1,300})", re.DOTALL)
_READS = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What to call once the scopes are granted; it gets those that were."""

    wanted: list[Scope]
    call: Callable[[list[Scope]], Answer]


class Router:
    """The routes of one registry."""

    def __init__(self, blobs: Blobs, manifests: Manifests, *, may_delete: bool, is_read_only: bool) -> None:
        self._blobs = blobs
        self._manifests = manifests
        self._may_delete = may_delete
        self._is_read_only = is_read_only

    def match(self, request: Request) -> Match:
        """Refusal for paths that are none, names that are none, and methods that are not offered."""
        path, method = request.path, request.method
        if path in ("/v2/", "/v2"):
            return Match(wanted=[], call=lambda _: Answer(headers={"Content-Type": "application/json"}, body=b"{}"))
        if path == "/v2/_catalog" and method in _READS:
            scope = Scope(kind="registry", name="catalog", action="*")
            return Match(wanted=[scope], call=lambda _: self._manifests.repositories(request))
        if found := _UPLOAD.fullmatch(path):
            return self._upload(request, _name(found[1]), found[2] or "")
        if found := _BLOB.fullmatch(path):
            name, digest = _name(found[1]), found[2]
            if method in _READS:
                return self._do(name, PULL, lambda: self._blobs.get(request, name, digest))
            if method == "DELETE":
                return self._delete(name, lambda: self._blobs.delete(request, name, digest))
        elif found := _MANIFEST.fullmatch(path):
            return self._manifest(request, _name(found[1]), found[2])
        elif (found := _TAGS.fullmatch(path)) and method in _READS:
            name = _name(found[1])
            return self._do(name, PULL, lambda: self._manifests.tags(request, name))
        elif (found := _REFERRERS.fullmatch(path)) and method in _READS:
            name, digest = _name(found[1]), found[2]
            return self._do(name, PULL, lambda: self._manifests.referrers(request, name, digest))
        if found is not None:
            raise Refusal("UNSUPPORTED", f"{method} is not offered here")
        raise Refusal("NAME_UNKNOWN", "page not found")

    def _do(self, name: str, action: str, call: Callable[[], Answer]) -> Match:
        if action == PUSH and self._is_read_only:
            raise Refusal("UNSUPPORTED", "this registry is a cache of another one: push there")
        return Match(wanted=[Scope(kind="repository", name=name, action=action)], call=lambda _: call())

    def _delete(self, name: str, call: Callable[[], Answer]) -> Match:
        if not self._may_delete:
            raise Refusal("UNSUPPORTED", "deletion is off: start the registry with --delete")
        return self._do(name, DELETE, call)

    def _manifest(self, request: Request, name: str, reference: str) -> Match:
        if request.method in _READS:
            return self._do(name, PULL, lambda: self._manifests.get(request, name, reference))
        if request.method == "PUT":
            return self._do(name, PUSH, lambda: self._manifests.put(request, name, reference))
        if request.method == "DELETE":
            return self._delete(name, lambda: self._manifests.delete(request, name, reference))
        raise Refusal("UNSUPPORTED", f"{request.method} is not offered here")

    def _upload(self, request: Request, name: str, identifier: str) -> Match:
        if not identifier:
            if request.method != "POST":
                raise Refusal("UNSUPPORTED", f"{request.method} is not offered here")
            return self._begin(request, name)
        calls = {
            "GET": self._blobs.status,
            "PATCH": self._blobs.patch,
            "PUT": self._blobs.finish,
            "DELETE": self._blobs.cancel,
        }
        call = calls.get(request.method)
        if call is None:
            raise Refusal("UNSUPPORTED", f"{request.method} is not offered here")
        return self._do(name, PUSH, lambda: call(request, name, identifier))

    def _begin(self, request: Request, name: str) -> Match:
        """A mount needs to pull from the other repository; whoever may not gets an upload instead."""
        match = self._do(name, PUSH, lambda: Answer())
        source = request.query.get("from", "")
        if "mount" not in request.query or not references.is_path(source):
            return Match(wanted=match.wanted, call=lambda _: self._blobs.begin(request, name, False))
        reading = Scope(kind="repository", name=source, action=PULL)
        return Match(
            wanted=[*match.wanted, reading],
            call=lambda granted: self._blobs.begin(request, name, reading in granted),
        )


def _name(text: str) -> str:
    if not references.is_path(text):
        raise Refusal("NAME_INVALID", f"invalid repository name: {text[:160]!r}")
    return text
