# SPDX-License-Identifier: Apache-2.0
"""The process table, on this very process."""

from __future__ import annotations

import os

import pytest

from holdfast.containers.config import Config, HostConfig
from holdfast.containers.container import Container
from holdfast.containers.record import Record, State
from holdfast.engine.jobs import top
from holdfast.errors import Conflict, InvalidArgument


def container(status: str) -> Container:
    return Container(
        Record(
            id="c",
            name="web",
            created_nanos=1,
            image_id="",
            driver="",
            config=Config(),
            host_config=HostConfig(),
            state=State(status=status),
        )
    )


def test_the_default_columns_are_ps_ef() -> None:
    table = top.top(container=container("running"), pids=lambda: [os.getpid()], arguments="-ef")

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
    table = top.top(container=container("running"), pids=lambda: [os.getpid(), 2**22 - 1], arguments=arguments)

    assert table.titles == titles
    assert [len(row) for row in table.rows] == [len(titles)]


@pytest.mark.parametrize("arguments", ["zz", "-o nosuch", "-o comm", "-o"])
def test_unknown_arguments_are_refused(arguments: str) -> None:
    with pytest.raises(InvalidArgument):
        top.choose(arguments)


def test_a_stopped_container_has_no_processes() -> None:
    with pytest.raises(Conflict, match="is not running"):
        top.top(container=container("exited"), pids=list, arguments="-ef")
