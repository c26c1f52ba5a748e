# SPDX-License-Identifier: Apache-2.0
"""The filters of an image list. Pure: times are given, names are matched as Go's path.Match does.

Source: Engine API v1.47 ImageList "filters".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from holdfast.errors import InvalidArgument
from holdfast.oci import reference as references

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdfast.images.image import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Which images are wanted; times in nanoseconds of the epoch. Several references are alternatives, labels all hold.

    Only an image made before the one time and after the other is wanted; one that says no time is neither.
    """

    references: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    labels_not: tuple[str, ...] = ()
    dangling: bool | None = None
    before_nanos: int | None = None
    since_nanos: int | None = None


def select(images: Iterable[Image], filters: Filters) -> list[Image]:
    """The images that pass, each with those of its names that do."""
    patterns = [_compile(pattern) for pattern in filters.references]
    chosen: list[Image] = []
    for image in images:
        if not _is_wanted(image, filters):
            continue
        if patterns:
            tags = tuple(name for name in image.repo_tags if _matches(name, patterns))
            pinned = tuple(name for name in image.repo_digests if _matches(name, patterns))
            if not tags and not pinned:
                continue
            chosen.append(replace(image, repo_tags=tags, repo_digests=pinned))
        else:
            chosen.append(image)
    return chosen


def has_label(labels: Mapping[str, str], wanted: str) -> bool:
    """Tells whether `key` or `key=value` holds."""
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def _is_wanted(image: Image, filters: Filters) -> bool:
    created = image.created_nanos
    labels = image.config.config.labels
    return (
        (filters.dangling is None or filters.dangling is not bool(image.repo_tags))
        and (filters.before_nanos is None or (created is not None and created < filters.before_nanos))
        and (filters.since_nanos is None or (created is not None and created > filters.since_nanos))
        and all(has_label(labels, wanted) for wanted in filters.labels)
        and not any(has_label(labels, unwanted) for unwanted in filters.labels_not)
    )


def _matches(name: str, patterns: list[re.Pattern[str]]) -> bool:
    familiar_name = references.parse(name).familiar_name
    return any(pattern.fullmatch(name) or pattern.fullmatch(familiar_name) for pattern in patterns)


def _compile(pattern: str) -> re.Pattern[str]:
    """Go's path.Match: `*` and `?` stop at a slash, `[a-z]` and `[^a-z]` are classes, a backslash quotes."""
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        character = pattern[position]
        position += 1
        if character == "*":
            pieces.append("[^/]*")
        elif character == "?":
            pieces.append("[^/]")
        elif character == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise InvalidArgument(f'invalid filter "reference={pattern}": syntax error in pattern')
            body = pattern[position:end].replace("\\", "\\\\").replace("[", "\\[")
            pieces.append(f"[{body}]")
            position = end + 1
        elif character == "\\":
            if position == len(pattern):
                raise InvalidArgument(f'invalid filter "reference={pattern}": syntax error in pattern')
            pieces.append(re.escape(pattern[position]))
            position += 1
        else:
            pieces.append(re.escape(character))
    try:
        return re.compile("".join(pieces))
    except re.error:
        raise InvalidArgument(f'invalid filter "reference={pattern}": syntax error in pattern') from None
