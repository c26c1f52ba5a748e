# SPDX-License-Identifier: Apache-2.0
"""Shows rows of fields in the form that `--format` asks for: the default table, `table …`, `json`, or a template.

Each row is a dict of strings keyed by Docker's placeholder names. Callers: every `ls`-like command.
"""

from __future__ import annotations

from holdfast.cli import table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def show(
    rows: Sequence[Mapping[str, str]], heads: Mapping[str, str], columns: Sequence[str], *, form: str, kind: str
) -> None:
    """Prints the rows; `heads` maps placeholder to column title, `columns` is the default table."""
    if not form or form == "table":
        print(
            table.render([heads[column] for column in columns], [[row[column] for column in columns] for row in rows])
        )
        return
    if form == "json":
        import json

        for row in rows:
            print(json.dumps(row, separators=(",", ":"), ensure_ascii=False, sort_keys=True))
        return
    from holdfast.cli.template import Template

    if form.startswith("table "):
        template = Template(form.removeprefix("table ").strip())
        titles = template.render(dict(heads), kind=kind).split("\t")
        print(table.render(titles, [template.render(dict(row), kind=kind).split("\t") for row in rows]))
        return
    template = Template(form)
    for row in rows:
        print(table.printable(template.render(dict(row), kind=kind)))
