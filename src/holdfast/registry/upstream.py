# SPDX-License-Identifier: Apache-2.0
"""The registry behind a pull-through cache: how it is asked, and what its silence means.

Its user and password come from the environment, under distribution's names, and go nowhere else. Called by
`registry.cache` and `registry.cached_blobs`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar
from urllib.parse import urlsplit

from holdfast.distribution import Cancellation, Credentials, Registries
from holdfast.distribution.answers import Refused
from holdfast.distribution.endpoints import Endpoint, is_insecure
from holdfast.distribution.http import Unreachable
from holdfast.distribution.remote import PULL, RegistryDown, Remote
from holdfast.errors import InvalidArgument, Unauthenticated, Unavailable
from holdfast.oci.reference import Reference
from holdfast.registry.refusals import Refusal

R = TypeVar("R")


class Upstream:
    """One registry, seen from its cache."""

    def __init__(self, url: str, registries: Registries | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.username is not None:
            raise InvalidArgument(
                f"invalid --proxy: {parts.scheme}://{parts.netloc.rpartition('@')[2]} is not an http or https address "
                "(user and password: REGISTRY_PROXY_USERNAME, REGISTRY_PROXY_PASSWORD)"
            )
        self._registries = registries or Registries()
        self._endpoint = Endpoint(
            scheme=parts.scheme,
            host=parts.netloc,
            prefix=parts.path.rstrip("/").removesuffix("/v2"),
            verify=not is_insecure(parts.netloc, ()),
        )
        self._credentials = Credentials(
            username=os.environ.get("REGISTRY_PROXY_USERNAME", ""),
            password=os.environ.get("REGISTRY_PROXY_PASSWORD", ""),
        )

    def remote(self, name: str) -> Remote:
        """One repository there."""
        return self._registries.at(self._endpoint, Reference(self._endpoint.host, name), self._credentials, PULL)

    def close(self) -> None:
        """Closes the idle connections."""
        self._registries.close()


def ask(what: str, question: Callable[[], R]) -> R:
    """Asks; a refusal becomes `<WHAT>_UNKNOWN`, no answer Unavailable, in this registry's words."""
    try:
        return question()
    except (Refused, Unauthenticated) as error:
        raise Refusal(f"{what}_UNKNOWN", f"the registry behind this cache refuses: {error.message}") from None
    except (Unreachable, RegistryDown) as error:
        raise Unavailable(f"the registry behind this cache does not answer: {error.message}") from None


def never() -> Cancellation:
    """For questions that nobody takes back."""
    return Cancellation()
