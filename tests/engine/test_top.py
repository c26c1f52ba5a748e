# SPDX-License-Identifier: Apache-2.0
"""The process table, on this very process."""

from __future__ import annotations

import os

import pytest

from holdfast.engine.jobs import top
from holdfast.errors import InvalidArgument


def test_the_default_columns_are_ps_ef() -> None:
    table = top.table([os.getpid()], "-ef")

    assert table.titles == ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]
    assert table.rows[0][1:3] == [str(os.getpid()), str(os.getppid())]
    assert "python" in table.rows[0][7]


@pytest.mark.parametrize(
    ("arguments", "titles"),
    [
        ("aux", ["USER", "PID", "%CPU", "%MEM", "VSZ", "RSS", "TTY", "STAT", "START", "TIME", "COMMAND"]),
        ("-o pid,comm", ["PID", "COMMAND"]),
        ("-eo user,pid=PID,args", ["USER", "PID", "COMMAND"]),
        ("-axo user,pid", ["USER", "PID"]),
        ("ax", ["PID", "TTY", "STAT", "TIME", "COMMAND"]),
        ("-e", ["PID", "TTY", "TIME", "CMD"]),
        ("--forest -efww", ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]),
    ],
)
def test_other_columns(arguments: str, titles: list[str]) -> None:
    table = top.table([os.getpid(), 2**22 - 1], arguments)

    assert table.titles == titles
    assert [len(row) for row in table.rows] == [len(titles)]


@pytest.mark.parametrize("arguments", ["zz", "-o nosuch", "-o comm", "-o", "-ef --sort=nosuch", "aux --sort"])
def test_unknown_arguments_are_refused(arguments: str) -> None:
    with pytest.raises(InvalidArgument):
        top.choose(arguments)


@pytest.mark.parametrize(
    ("arguments", "greatest_first"),
    [("-ef --sort=pid", False), ("aux --sort=-pid", True), ("-o pid k -pid", True), ("-o pid --sort ppid,-pid", None)],
)
def test_the_order_is_what_sort_says(arguments: str, greatest_first: bool | None) -> None:
    column = top.choose(arguments).columns
    table = top.table([os.getpid(), os.getppid()], arguments)
    pids = [int(row[[title for title, _ in column].index("PID")]) for row in table.rows]

    expected = sorted((os.getpid(), os.getppid()), reverse=bool(greatest_first))
    if greatest_first is None:  # by the parent's number first, which no two of a line of ancestors share
        expected = sorted((os.getpid(), os.getppid()), key=lambda pid: int(_parent(pid)))
    assert pids == expected


def _parent(pid: int) -> str:
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[1]
