# SPDX-License-Identifier: Apache-2.0
"""Walks of trees without the interpreter's recursion, so that no depth of directories is an error.

A walk is a generator that yields the walks below it; each of them runs to its end before the one that yielded it goes
on, as a call would. A tree may be as deep as there are descriptors. Pure; called by `diff` and `changes`.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

Walk: TypeAlias = "Generator[Walk, None, None]"


def run(top: Walk) -> None:
    """Carries a walk out; what one raises closes all of those above it."""
    walks = [top]
    try:
        while walks:
            below = next(walks[-1], None)
            if below is None:
                walks.pop()
            else:
                walks.append(below)
    finally:
        for walk in reversed(walks):
            walk.close()
