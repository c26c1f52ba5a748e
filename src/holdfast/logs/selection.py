# SPDX-License-Identifier: Apache-2.0
"""Which entries of a log are wanted and how they are shown: as `docker logs --since --until -t --details` (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote_plus

STDOUT: Final = 1
STDERR: Final = 2

Said = tuple[int, bytes]
"""A stream's number and one entry's text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Times are nanoseconds since the epoch, 0 for no bound; both bounds are included."""

    stdout: bool = True
    stderr: bool = True
    since: int = 0
    until: int = 0
    timestamps: bool = False
    details: bool = False


def render_details(attributes: Mapping[str, str]) -> str:
    """`a=1,b=2+3`, in the order of the names."""
    return ",".join(f"{quote_plus(key)}={quote_plus(value)}" for key, value in sorted(attributes.items()))
