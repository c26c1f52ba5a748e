# SPDX-License-Identifier: Apache-2.0
"""`docker search`: what an index knows under a term. Called by `api.routes.registries`.

Source: Engine API v1.51 ImageSearch; filters and texts of dockerd 28.5.
"""

from __future__ import annotations

import asyncio

from holdfast.distribution import Credentials, Puller
from holdfast.distribution.search import Found
from holdfast.engine.filtering import Filters
from holdfast.errors import InvalidArgument

_FILTERS = ("is-automated", "is-official", "stars")


async def search(*, puller: Puller, term: str, limit: int, filters: Filters, credentials: Credentials) -> list[Found]:
    """The repositories that pass the filters, in the index's order."""
    for name in filters:
        if name not in _FILTERS:
            raise InvalidArgument(f"invalid filter '{name}'")
    official, automated = _flag(filters, "is-official"), _flag(filters, "is-automated")
    stars = max((_stars(text) for text in filters.get("stars", [])), default=0)
    found = await asyncio.wrap_future(puller.start(lambda: puller.search(term, limit, credentials)))
    return [
        each
        for each in found
        if official in (None, each.is_official) and automated in (None, each.is_automated) and each.star_count >= stars
    ]


def _flag(filters: Filters, name: str) -> bool | None:
    values = filters.get(name)
    if not values:
        return None
    known = {"1": True, "true": True, "0": False, "false": False}
    if len(values) > 1 or values[0] not in known:
        raise InvalidArgument(f"invalid filter '{name}={values}'")
    return known[values[0]]


def _stars(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidArgument(f"invalid filter 'stars={text}': strconv.Atoi: parsing \"{text}\": invalid syntax")
    return int(text)
