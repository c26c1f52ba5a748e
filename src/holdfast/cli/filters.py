# SPDX-License-Identifier: Apache-2.0
"""`--filter key=value` as the wire's map of maps, which every API version reads."""

from __future__ import annotations

from holdfast import errors


def parse(texts: list[str]) -> dict[str, dict[str, bool]]:
    """["a=1", "a=2"] becomes {"a": {"1": True, "2": True}}."""
    wire: dict[str, dict[str, bool]] = {}
    for text in texts:
        key, mark, value = text.partition("=")
        if not mark:
            raise errors.InvalidArgument(f"invalid filter '{text}': write key=value")
        wire.setdefault(key.strip().lower(), {})[value.strip()] = True
    return wire
