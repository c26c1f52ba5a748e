# SPDX-License-Identifier: Apache-2.0
"""Image references: `alpine`, `localhost:5000/team/app:1.2@sha256:…`, normalised as Docker does.

`parse` adds what the user left out (`docker.io`, `library/`) but never a tag; `with_default_tag` does that.
The wording of errors is Docker's: the CLI and docker-py show it. Source: distribution/reference grammar.
"""

from __future__ import annotations

import re

import msgspec

from holdfast.errors import InvalidArgument
from holdfast.oci import digest as digests
from holdfast.oci.digest import Digest

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL_PREFIX = "library/"
DEFAULT_TAG = "latest"
NAME_MAX_LENGTH = 255

_COMPONENT = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_COMPONENT}(?:\.{_COMPONENT})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PATH_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = rf"{_PATH_COMPONENT}(?:/{_PATH_COMPONENT})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/(?P<path>{_PATH})(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?", re.ASCII
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}", re.ASCII)
_TAG_ONLY = re.compile(_TAG, re.ASCII)
_PATH_ONLY = re.compile(_PATH, re.ASCII)
_MAX_TEXT = 4096


class Reference(msgspec.Struct, frozen=True):
    """A normalised reference: always a domain and a path, perhaps a tag, perhaps a digest."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def name(self) -> str:
        """Domain and path: `docker.io/library/alpine`."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The name as users write it: `alpine`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.name
        short = self.path.removeprefix(OFFICIAL_PREFIX)
        return self.path if "/" in short else short

    @property
    def familiar(self) -> str:
        """The whole reference as users write it: `alpine:3.20`."""
        return self.familiar_name + self._suffix()

    def __str__(self) -> str:
        return self.name + self._suffix()

    def _suffix(self) -> str:
        tag = f":{self.tag}" if self.tag is not None else ""
        return tag + (f"@{self.digest}" if self.digest is not None else "")

    def with_default_tag(self) -> Reference:
        """Adds `latest` when there is neither a tag nor a digest."""
        if self.tag is None and self.digest is None:
            return self.with_tag(DEFAULT_TAG)
        return self

    def with_tag(self, tag: str) -> Reference:
        """The same repository with another tag and no digest; raises InvalidArgument for a bad tag."""
        if not is_tag(tag):
            raise InvalidArgument("invalid tag format")
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: Digest) -> Reference:
        """The same repository pinned to a digest, without a tag."""
        return Reference(self.domain, self.path, None, digests.parse(digest))

    def without_suffix(self) -> Reference:
        """The repository alone."""
        return Reference(self.domain, self.path)


def is_tag(text: str) -> bool:
    """Tells whether the text can be a tag."""
    return _TAG_ONLY.fullmatch(text) is not None


def is_path(text: str) -> bool:
    """Tells whether the text can be a repository's path within a registry."""
    return len(text) <= NAME_MAX_LENGTH and _PATH_ONLY.fullmatch(text) is not None


def parse(text: str) -> Reference:
    """Normalises what a user wrote; raises InvalidArgument in Docker's words."""
    if not text or len(text) > _MAX_TEXT:
        raise InvalidArgument("invalid reference format")
    if _IDENTIFIER.fullmatch(text):
        raise InvalidArgument(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    remote = remainder.partition(":")[0] if ":" in remainder else remainder.partition("@")[0]
    if remote != remote.lower():
        raise InvalidArgument(f"invalid reference format: repository name ({remote}) must be lowercase")
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}")
    if match is None:
        raise InvalidArgument("invalid reference format")
    if len(match["path"]) > NAME_MAX_LENGTH:
        raise InvalidArgument(f"repository name must not be more than {NAME_MAX_LENGTH} characters")
    digest = match["digest"]
    return Reference(match["domain"], match["path"], match["tag"], _check_digest(digest) if digest else None)


def parse_tagged(text: str) -> Reference:
    """A reference that names a tag: digests are refused, `latest` is added (targets of tag, commit, import)."""
    reference = parse(text)
    if reference.digest is not None:
        raise InvalidArgument("refusing to create a tag with a digest reference")
    if (reference.domain, reference.path) == (DEFAULT_DOMAIN, "library/sha256"):
        raise InvalidArgument("refusing to create an ambiguous tag using digest algorithm as name")
    return reference.with_default_tag()


def _split_domain(text: str) -> tuple[str, str]:
    head, slash, rest = text.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost" or head != head.lower()):
        domain, remainder = head, rest
    else:
        domain, remainder = DEFAULT_DOMAIN, text
    if domain == LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = OFFICIAL_PREFIX + remainder
    return domain, remainder


def _check_digest(text: str) -> Digest:
    algorithm = text.partition(":")[0]
    if algorithm not in ("sha256", "sha512"):
        raise InvalidArgument("unsupported digest algorithm")
    if not digests.is_digest(text):
        raise InvalidArgument("invalid reference format")
    return Digest(text)
