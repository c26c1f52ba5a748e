# SPDX-License-Identifier: Apache-2.0
"""Docker's filters of lists (`--filter key=value`): which keys a list knows, and how values match.

Pure. Values of one key are alternatives, keys are all required, labels are all required.
Called by the list and prune jobs. Source: moby `api/types/filters`; error texts of dockerd 28.5.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from holdfast.errors import InvalidArgument

Filters = Mapping[str, Sequence[str]]

_TRUE = frozenset(("1", "true"))
_FALSE = frozenset(("0", "false"))
_SIMPLE = re.compile(r"[\w.^$ /:@|*+?\[\]-]*", re.ASCII)
_MOST_REPETITIONS = 2
_LONGEST_TEXT = 255


def check(filters: Filters, known: frozenset[str]) -> None:
    """Raises InvalidArgument for a key that the list does not know."""
    for key in sorted(filters):
        if key not in known:
            raise InvalidArgument(f"invalid filter '{key}'")


def boolean(filters: Filters, key: str, default: bool | None) -> bool | None:
    """The truth value of a key, whatever else it has; InvalidArgument for none, or for both at once."""
    values = filters.get(key)
    if values is None:
        return default
    if not values:
        raise InvalidArgument(f"invalid filter '{key}'")
    is_true, is_false = not _TRUE.isdisjoint(values), not _FALSE.isdisjoint(values)
    if is_true == is_false:
        raise InvalidArgument(f"invalid filter '{key}=[{' '.join(values)}]'")
    return is_true


def has_labels(labels: Mapping[str, str] | None, wanted: Sequence[str]) -> bool:
    """True when every `key` or `key=value` is among the labels."""
    for item in wanted:
        key, equals, value = item.partition("=")
        if labels is None or key not in labels or (equals and labels[key] != value):
            return False
    return True


def has_no_label(labels: Mapping[str, str] | None, unwanted: Sequence[str]) -> bool:
    """True when none of them is among the labels (the filter `label!`)."""
    return not any(has_labels(labels, [item]) for item in unwanted)


def is_match(text: str, patterns: Sequence[str]) -> bool:
    """True when the text is, or contains a match of, one of the patterns; a pattern that is no regex matches itself."""
    return not patterns or any(pattern == text or _searches(pattern, text) for pattern in patterns)


def _searches(pattern: str, text: str) -> bool:
    """A simple expression; any other, and one for a long text, is looked for as it stands.

    Python's search goes back over what it has tried: without groups two repetitions take 8 ms at most in 255
    characters, three 360, and the daemon's loop waits.
    """
    is_simple = len(pattern) <= 256 and _SIMPLE.fullmatch(pattern) is not None
    if not is_simple or len(text) > _LONGEST_TEXT or len(re.findall(r"[*+?]", pattern)) > _MOST_REPETITIONS:
        return pattern in text
    try:
        return re.search(pattern, text) is not None
    except re.error:
        return pattern in text
