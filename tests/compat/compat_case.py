# SPDX-License-Identifier: Apache-2.0
"""One compared script, and how outputs of two daemons are made comparable."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Case:
    """`is_error`: the error's wording may differ but for the words that clients parse; `is_loose`: only the exit code counts."""

    name: str
    script: str
    is_error: bool = False
    is_loose: bool = False


_RULES = [
    (r"\b[0-9a-f]{64}\b", "<id>"),
    (r"\b[0-9a-f]{12}\b", "<short-id>"),
    (r"/[a-z]+_[a-z]+\b", "/<name>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| \+0000 UTC|[+-]\d\d:\d\d)?", "<time>"),
    (r"\b(Less than a second|About a minute|\d+ seconds?|\d+ minutes?)( ago)?\b", "<age>"),
    (r" {2,}", "  "),
]


def normal(text: str, folder: Path) -> str:
    """The text with ids, times, ages and the case's folder replaced."""
    text = text.replace(str(folder), "<folder>")
    for pattern, shown in _RULES:
        text = re.sub(pattern, shown, text)
    return text
