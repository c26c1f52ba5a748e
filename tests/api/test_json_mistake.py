# SPDX-License-Identifier: Apache-2.0
"""What a client is told of a body that is no JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api.decode import decode
from holdfast.api.json_mistake import describe
from holdfast.errors import InvalidArgument

VALUE, KEY = "looking for beginning of value", "looking for beginning of object key string"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{wrong", f"invalid character 'w' {KEY}"),
        ("{,}", f"invalid character ',' {KEY}"),
        ('{"a":1,}', f"invalid character '}}' {KEY}"),
        ("{'a':1}", f"invalid character '\\'' {KEY}"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":"x" "b":1}', "invalid character '\"' after object key:value pair"),
        ('{"a":01}', "invalid character '1' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[,]", f"invalid character ',' {VALUE}"),
        ("[1,]", f"invalid character ']' {VALUE}"),
        ("x", f"invalid character 'x' {VALUE}"),
        ("\x01", f"invalid character '\\u0001' {VALUE}"),
        ('{"a":tru}', "invalid character '}' in literal true (expecting 'e')"),
        ('{"a":nulx}', "invalid character 'x' in literal null (expecting 'l')"),
        ('{"a":1.}', "invalid character '}' in numeric literal"),
        ('{"a":-}', "invalid character '}' in numeric literal"),
        ('{"a":1.5e+}', "invalid character '}' in numeric literal"),
        ('{"a":"x\ny"}', "invalid character '\\n' in string"),
        ('{"a":"\\q"}', "invalid escape sequence `\\q` in string"),
        ('{"a":"\\u12x4"}', "invalid escape sequence `\\u12x4` in string"),
        *[(cut, "unexpected EOF") for cut in ("{", '{"a', '{"a"', '{"a":', '{"a":1', '{"a":1,', "[", "[1,", "tr", "-", '"\\', '"\\u12')],
    ],
)  # fmt: skip
def test_the_first_mistake_is_named_as_go_names_it(text, words):
    assert describe(text.encode()) == words
    with pytest.raises(InvalidArgument) as told:
        decode(text.encode(), dict)
    assert told.value.message == f"invalid JSON: {words}"


@given(st.text(), st.integers(0, 60), st.text(max_size=2))
def test_any_broken_document_has_words(inside, place, put):
    document = json.dumps({"a": [inside, 1.5, None, True]}, ensure_ascii=False)
    broken = document[:place] + put + document[place + 1 :]
    try:
        json.loads(broken)
    except ValueError:
        with pytest.raises(InvalidArgument, match=r"^(invalid JSON: |unexpected content after JSON)[^\n]*$"):
            decode(broken.encode(), dict)


@pytest.mark.parametrize(("end", "words"), [(b"x", r"invalid character \(byte 20001\)"), (b"1", "unexpected EOF")])
def test_a_long_document_is_not_searched_for_its_mistake(end, words):
    with pytest.raises(InvalidArgument, match=f"invalid JSON: {words}"):
        decode(b"[" + b"1," * 10_000 + end, dict)
