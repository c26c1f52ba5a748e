# SPDX-License-Identifier: Apache-2.0
"""The daemon's log lines."""

import json
import logging

from holdfast.daemon.log import Formatter


def record(message, *arguments, level=logging.INFO):
    made = logging.LogRecord("holdfast.api", level, "f", 1, message, arguments, None)
    made.created = 1_700_000_000.25
    return made


def test_a_line_has_time_level_message_and_module():
    line = Formatter("text").format(record("API listen on %s", "unix:///x"))

    assert line == 'time=2023-11-14T22:13:20.250000000Z level=info msg="API listen on unix:///x" module=api'


def test_a_message_cannot_forge_a_line_or_colour_a_terminal():
    line = Formatter("text").format(record("name %s", 'x"\nlevel=fatal \x1b[31m'))

    assert "\n" not in line
    assert "\x1b" not in line


def test_json_lines_parse():
    line = Formatter("json").format(record("a\nb", level=logging.WARNING))

    assert json.loads(line)["msg"] == "a\nb"
    assert json.loads(line)["level"] == "warning"
