# SPDX-License-Identifier: Apache-2.0
"""Cutting a stream into entries."""

from hypothesis import given
from hypothesis import strategies as st

from holdfast.logs.lines import LIMIT, LineCutter


def _cut(pieces: list[bytes]) -> list[bytes]:
    cutter = LineCutter()
    runs = [run for piece in pieces for run in cutter.feed(piece)]
    tail = cutter.flush()
    return [*runs, *([tail] if tail else [])]


def test_whole_lines_stay_together_and_a_tail_is_kept_back():
    cutter = LineCutter()

    assert cutter.feed(b"one\ntwo\nthr") == [b"one\ntwo\n"]
    assert cutter.feed(b"ee\n") == [b"three\n"]
    assert cutter.flush() == b""


def test_a_line_of_the_limit_is_a_partial_entry_and_an_empty_one():
    assert _cut([b"x" * LIMIT + b"\n"]) == [b"x" * LIMIT, b"\n"]


def test_a_line_below_the_limit_is_whole():
    line = b"x" * (LIMIT - 1) + b"\n"

    assert _cut([line]) == [line]


def test_a_long_line_is_cut_every_16_kib_wherever_the_pieces_end():
    line = b"a\n" + b"x" * (2 * LIMIT + 5) + b"\nb\n"

    expected = [b"a\n", b"x" * LIMIT, b"x" * LIMIT, b"xxxxx\nb\n"]
    assert _cut([line]) == expected
    assert b"".join(_cut([line[i : i + 1000] for i in range(0, len(line), 1000)])) == line


@given(st.lists(st.one_of(st.binary(max_size=50), st.integers(1, 40_000).map(lambda n: b"y" * n)), max_size=8))
def test_nothing_is_lost_and_no_entry_is_too_long(pieces: list[bytes]):
    runs = _cut(pieces)

    assert b"".join(runs) == b"".join(pieces)
    assert all(len(entry) <= LIMIT for run in runs for entry in run.split(b"\n"))
    assert all(run.endswith(b"\n") or b"\n" not in run for run in runs)
