# SPDX-License-Identifier: Apache-2.0
"""One thing that the doctor has found, and how findings are shown. Pure; used by every section and by `main`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

GOOD, NOTE, WRONG = "ok", "note", "wrong"


class Finding(msgspec.Struct, frozen=True):
    """`said` is a fact; `step` is what to do about it, empty for what is well."""

    grade: str
    said: str
    step: str = ""


def good(said: str) -> Finding:
    """Nothing to do."""
    return Finding(GOOD, said)


def note(said: str, step: str) -> Finding:
    """Something works less well than it could, or is worth knowing."""
    return Finding(NOTE, said, step)


def wrong(said: str, step: str) -> Finding:
    """Something does not work, or is not safe."""
    return Finding(WRONG, said, step)


def render(sections: Iterable[tuple[str, Sequence[Finding]]]) -> str:
    """The report: a title for each section, a line for each finding, an arrow before each next step, a summary."""
    lines: list[str] = []
    grades: list[str] = []
    for title, findings in sections:
        lines.append(title)
        for each in findings:
            grades.append(each.grade)
            lines.append(f"  {each.grade:<5}  {each.said}")
            if each.step:
                lines.append(f"         -> {each.step}")
        lines.append("")
    wrongs, notes = grades.count(WRONG), grades.count(NOTE)
    if not wrongs and not notes:
        lines.append("All is well.")
    else:
        lines.append(f"{wrongs} wrong, {notes} worth knowing, {grades.count(GOOD)} well.")
    return "\n".join(lines) + "\n"
