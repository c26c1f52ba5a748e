# SPDX-License-Identifier: Apache-2.0
"""The JSON progress stream."""

import json

import pytest

from holdfast.wire import progress


def test_a_message_is_one_object_and_cr_lf():
    line = progress.encode({"status": "Pulling <fs> layer", "id": "a"})

    assert line == b'{"status":"Pulling <fs> layer","id":"a"}\r\n'


def test_an_error_is_told_twice_as_docker_does():
    assert json.loads(progress.error("no such image", 404)) == {
        "errorDetail": {"code": 404, "message": "no such image"},
        "error": "no such image",
    }


@pytest.mark.parametrize(
    ("current", "total", "text"),
    [
        (0, 0, ""),
        (1000, 0, "     1kB"),
        (1234567, 3456789, "[=================>                                 ]  1.235MB/3.457MB"),
        (10, 10, "[==================================================>]      10B/10B"),
    ],
)
def test_the_bar_is_dockers(current, total, text):
    assert progress.bar(current, total) == text


def test_sizes_have_four_digits_and_decimal_units():
    assert [progress.human_size(size) for size in (0, 999, 1000, 123456, 5e9)] == [
        "0B",
        "999B",
        "1kB",
        "123.5kB",
        "5GB",
    ]
