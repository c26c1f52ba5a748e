# SPDX-License-Identifier: Apache-2.0
"""Rows as aligned columns, with whatever an attacker put into a name made harmless.

Names, labels and error texts come from images and registries: control characters are shown as `?`, never sent to the terminal.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_GAP = 3
_NARROWEST = 10


def printable(text: str) -> str:
    """The text with every control character except tab and newline replaced by `?`."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def render(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Docker's table: columns of at least ten, padded to their widest cell with three blanks, nothing after the last."""
    cells = [list(heads), *([printable(cell).replace("\n", " ") for cell in row] for row in rows)]
    widths = [max(_NARROWEST, max(len(row[i]) for row in cells) + _GAP) for i in range(len(heads))]
    lines: list[str] = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        lines.append("".join(padded) + row[-1])
    return "\n".join(lines)
