# SPDX-License-Identifier: Apache-2.0
"""The documents stay true: every link leads to a file, and every function that a story names exists in it."""

import ast
import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def _names(path: Path) -> set[str]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_every_link_leads_somewhere(page: Path) -> None:
    wrong: list[str] = []
    for target in _LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://", "#")):
            continue
        name, _, member = target.partition("#")
        path = (page.parent / name).resolve()
        if not path.exists() or (member and path.suffix == ".py" and member not in _names(path)):
            wrong.append(target)

    assert wrong == []
