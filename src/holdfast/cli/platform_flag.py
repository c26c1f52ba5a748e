# SPDX-License-Identifier: Apache-2.0
"""`--platform` for images that are here: the API wants a JSON object where a pull has text. Pure."""

from __future__ import annotations


def to_json(text: str) -> str:
    """`{"os": …}` of `os[/arch[/variant]]`; empty for an empty text."""
    if not text:
        return ""
    import json

    os_name, _, rest = text.partition("/")
    architecture, _, variant = rest.partition("/")
    return json.dumps({"os": os_name, "architecture": architecture, **({"variant": variant} if variant else {})})
