# SPDX-License-Identifier: Apache-2.0
"""The question before something is removed for good. Used by the prune commands."""

from __future__ import annotations


def is_given(warning: str) -> bool:
    """Asks, and is True for y; no answer at all is a no."""
    print(f"WARNING! {warning}\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    try:
        return input().strip() in ("y", "Y")
    except EOFError:
        return False
