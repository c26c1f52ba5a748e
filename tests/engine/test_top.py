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
    ],
)
def test_other_columns(arguments: str, titles: list[str]) -> None:
    table = top.table([os.getpid(), 2**22 - 1], arguments)

    assert table.titles == titles
    assert [len(row) for row in table.rows] == [len(titles)]


@pytest.mark.parametrize("arguments", ["zz", "-o nosuch", "-o comm", "-o"])
def test_unknown_arguments_are_refused(arguments: str) -> None:
    with pytest.raises(InvalidArgument):
        top.choose(arguments)
