# SPDX-License-Identifier: Apache-2.0
"""Query strings as Docker reads them."""

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api.query import Query
from holdfast.errors import InvalidArgument


@pytest.mark.parametrize("value", ["", "0", "no", "false", "none", "No", " FALSE "])
def test_docker_has_five_words_for_false(value):
    assert Query(urlencode({"all": value})).boolean("all", default=True) is False


@pytest.mark.parametrize("value", ["1", "true", "yes", "t", "2", "x"])
def test_everything_else_is_true(value):
    assert Query(urlencode({"all": value})).boolean("all") is True


def test_what_is_absent_has_its_default():
    query = Query("a=")

    assert query.boolean("b", default=True) is True
    assert query.integer("b", 7) == 7
    assert query.integer("a", 7) == 7
    assert query.text("b", "x") == "x"
    assert query.text("a", "x") == ""
    assert (query.has("a"), query.has("b")) == (True, False)


@pytest.mark.parametrize("value", ["x", "1.5", "1e3", "--1", "0x10", "１"])
def test_a_wrong_number_is_refused_in_gos_words(value):
    with pytest.raises(InvalidArgument, match=r"^strconv.ParseInt: parsing .*: invalid syntax$"):
        Query(urlencode({"t": value})).integer("t")


@pytest.mark.parametrize("value", ["9223372036854775808", "9" * 5000, "-9223372036854775809"])
def test_a_number_beyond_64_bits_is_refused(value):
    with pytest.raises(InvalidArgument, match="value out of range"):
        Query(f"t={value}").integer("t")


def test_repeated_names_keep_their_order_and_the_first_counts():
    query = Query("t=a&t=b&x=1&t=c")

    assert query.many("t") == ["a", "b", "c"]
    assert query.text("t") == "a"


@given(st.dictionaries(st.text(st.characters(codec="utf-8"), min_size=1), st.text(st.characters(codec="utf-8"))))
def test_what_urlencode_writes_is_read_back(values):
    query = Query(urlencode(values))

    assert {name: query.text(name) for name in values} == values


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ({"label": ["a=b", "c"]}, {"label": ["a=b", "c"]}),
        ({"label": {"a=b": True, "c": False}}, {"label": ["a=b", "c"]}),
        ({"status": None}, {"status": []}),
        ({}, {}),
        (None, {}),
    ],
)
def test_filters_come_in_two_forms(document, expected):
    assert Query(urlencode({"filters": json.dumps(document)})).filters() == expected


@pytest.mark.parametrize("raw", ["xx", "[]", '{"a":1}', '{"a":[1]}', '{"a":{"b":"c"}}', "[" * 5000, '"x"'])
def test_other_filters_are_invalid(raw):
    with pytest.raises(InvalidArgument, match="invalid filter"):
        Query(urlencode({"filters": raw})).filters()


@pytest.mark.parametrize(("raw", "escape"), [("a=%zz", "%zz"), ("%4=1", "%4="), ("a=%20%", "%"), ("a=%a", "%a")])
def test_a_broken_escape_is_refused_in_gos_words(raw, escape):
    with pytest.raises(InvalidArgument, match=f'^invalid URL escape "{escape}"$'):
        Query(raw)


def test_a_semicolon_is_refused():
    with pytest.raises(InvalidArgument, match="invalid semicolon separator in query"):
        Query("a=1;b=2")
