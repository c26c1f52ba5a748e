# SPDX-License-Identifier: Apache-2.0
"""`docker images`. Called by `api.routes.images`. Source: Engine API v1.51 ImageList."""

from __future__ import annotations

import time
from collections.abc import Collection

from holdfast import images
from holdfast.engine import filtering, moments
from holdfast.engine.filtering import Filters
from holdfast.oci import digest as digests

KEYS = frozenset(("dangling", "label", "before", "since", "reference", "until"))


def list_images(*, store: images.Store, filters: Filters, show_all: bool) -> list[images.Image]:
    """The images that fit, newest first; without `show_all` not those that only others are built on."""
    filtering.check(filters, KEYS)
    found = store.list(wanted(store, filters))
    if show_all:
        return found
    parents = store.parents()
    return [image for image in found if image.repo_tags or image.repo_digests or image.id not in parents]


def wanted(store: images.Store, filters: Filters) -> images.Filters:
    """Docker's filters as the store takes them; NotFound for the images that `before` and `since` name.

    Of several times that an image must be older (newer) than, the earliest (latest) counts: all of them hold.
    """
    older_than = [*_created(store, filters.get("before", ())), *_until(filters.get("until", ()))]
    newer_than = _created(store, filters.get("since", ()))
    return images.Filters(
        references=tuple(filters.get("reference", ())),
        labels=tuple(filters.get("label", ())),
        labels_not=tuple(filters.get("label!", ())),
        dangling=filtering.boolean(filters, "dangling", None),
        before_nanos=min(older_than, default=None),
        since_nanos=max(newer_than, default=None),
    )


def shared_sizes(store: images.Store, found: Collection[images.Image]) -> dict[str, int]:
    """By image id: the bytes of those of its layers that other images have too. Walks each shared layer once."""
    users: dict[str, set[str]] = {}
    for image in store.list():
        for chain in digests.chains(image.layers):
            users.setdefault(chain, set()).add(image.id)
    sizes: dict[str, int] = {}
    totals: dict[str, int] = {}
    for image in found:
        shared = [chain for chain in digests.chains(image.layers) if len(users.get(chain, ())) > 1]
        for chain in shared:
            if chain not in sizes:
                sizes[chain] = store.snapshots.usage(chain).size_bytes
        totals[image.id] = sum(sizes[chain] for chain in shared)
    return totals


def _created(store: images.Store, names: Collection[str]) -> list[int]:
    times = [store.get(name).created_nanos for name in names]
    return [moment for moment in times if moment is not None]


def _until(values: Collection[str]) -> list[int]:
    return [moments.parse(value, time.time_ns()) for value in values]
