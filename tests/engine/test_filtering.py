# SPDX-License-Identifier: Apache-2.0
"""Docker's list filters; error texts as dockerd 28.5 gives them."""

from __future__ import annotations

import pytest

from holdfast.engine import filtering
from holdfast.errors import InvalidArgument


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'bogus'"):
        filtering.check({"bogus": ["x"]}, frozenset({"name"}))


@pytest.mark.parametrize(
    ("values", "truth"), [(["true"], True), (["1"], True), (["0"], False), (["false", "x"], False)]
)
def test_truth_values(values: list[str], truth: bool | None) -> None:
    assert filtering.boolean({"dangling": values}, "dangling", None) is truth


@pytest.mark.parametrize("values", [["maybe"], ["true", "false"], ["True"], []])
def test_other_truth_values_are_refused(values: list[str]) -> None:
    with pytest.raises(InvalidArgument, match="invalid filter 'dangling"):
        filtering.boolean({"dangling": values}, "dangling", None)


def test_labels_are_all_required() -> None:
    assert filtering.has_labels({"a": "b", "c": ""}, ["a=b", "c"])
    assert not filtering.has_labels({"a": "b"}, ["a=b", "c"])
    assert not filtering.has_labels(None, ["a"])
    assert filtering.has_labels(None, [])


def test_unwanted_labels_are_all_absent() -> None:
    assert filtering.has_no_label({"a": "b"}, ["a=c", "d"])
    assert not filtering.has_no_label({"a": "b"}, ["a"])


def test_a_pattern_is_searched_or_is_the_name() -> None:
    assert filtering.is_match("data-1", ["ata"])
    assert filtering.is_match("data-1", ["^data", "x"])
    assert filtering.is_match("a(b", ["a(b"])
    assert not filtering.is_match("data", ["b"])
    assert filtering.is_match("anything", [])


def test_an_evil_pattern_is_only_a_text() -> None:
    assert not filtering.is_match("a" * 100, ["(a+)+$b"])
    assert filtering.is_match("a.*.*.*b", [".*.*.*b"]), "three repetitions are looked for as they stand"
    assert not filtering.is_match("a" * 256, ["a*$"])


@pytest.mark.parametrize(
    ("pattern", "wanted"),
    [
        ("al.*t", True),
        ("^al+p", True),
        ("x|bet$", True),
        ("[a-c]lpha", True),
        ("al*z", False),
        ("*", False),
        ("[", False),
        ("(a+)+$", False),
    ],
)
def test_expressions_without_groups_are_searched(pattern, wanted):
    assert filtering.is_match("alphabet", [pattern]) is wanted
