# SPDX-License-Identifier: Apache-2.0
"""Searching an index: Docker Hub's, or that of the registry named in the term (`localhost:5000/term`).

Blocking. Called by the job search of `engine`. Source: Docker's v1 index protocol `/v1/search`; dockerd 28.5.
"""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec

from holdfast.distribution.cancellation import Cancellation
from holdfast.distribution.credentials import Credentials
from holdfast.distribution.endpoints import Endpoint
from holdfast.distribution.http import Unreachable
from holdfast.distribution.registries import Registries
from holdfast.distribution.remote import PULL, RegistryDown, Remote, raise_for_status
from holdfast.errors import HoldfastError, Internal, InvalidArgument
from holdfast.oci import strict
from holdfast.oci.reference import DEFAULT_DOMAIN, OFFICIAL_PREFIX, Reference

INDEX_HOST = "index.docker.io"
ANSWER_MAX_BYTES = 1 << 20
LIMIT_MAX = 100
LIMIT_DEFAULT = 25


class Found(msgspec.Struct, frozen=True):
    """One repository that the index knows."""

    name: str = ""
    description: str = ""
    star_count: int = 0
    is_official: bool = False
    is_automated: bool = False


class _Answer(msgspec.Struct):
    results: tuple[Found, ...] = ()


def search(registries: Registries, term: str, limit: int, credentials: Credentials) -> tuple[Found, ...]:
    """What the index answers; InvalidArgument for a limit that no index takes."""
    if not 0 <= limit <= LIMIT_MAX:
        raise InvalidArgument(f"limit {limit} is outside the range of [1, 100]")
    if "://" in term:
        raise InvalidArgument("invalid repository name: repository name should not contain a scheme")
    domain, rest = _split(term)
    query = urlencode({"q": rest, "n": limit or LIMIT_DEFAULT})
    failure: HoldfastError | None = None
    for remote in _indexes(registries, domain, credentials):
        try:
            return remote.persist("search", lambda at=remote: _ask(at, query), Cancellation())
        except (Unreachable, RegistryDown) as error:
            failure = error
    raise failure or Internal(f"no index for {term}")


def _indexes(registries: Registries, domain: str, credentials: Credentials) -> list[Remote]:
    reference = Reference(domain, "")
    if domain == DEFAULT_DOMAIN:
        return [registries.at(Endpoint(scheme="https", host=INDEX_HOST), reference, credentials, PULL)]
    return list(registries.writers(reference, credentials))


def _ask(remote: Remote, query: str) -> tuple[Found, ...]:
    with remote.exchange("GET", f"{remote.endpoint.url}/v1/search?{query}", {"Accept": "application/json"}) as answer:
        raise_for_status(answer, (200,))
        return strict.decode(answer.read(ANSWER_MAX_BYTES), _Answer, "search result").results


def _split(term: str) -> tuple[str, str]:
    """The registry and what to look for there."""
    head, slash, rest = term.partition("/")
    if slash and ("." in head or ":" in head or head == "localhost"):
        return (DEFAULT_DOMAIN if head in (DEFAULT_DOMAIN, INDEX_HOST) else head), rest
    return DEFAULT_DOMAIN, term.removeprefix(OFFICIAL_PREFIX)
