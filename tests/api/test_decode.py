# SPDX-License-Identifier: Apache-2.0
"""JSON bodies read as Go reads them."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api.decode import decode
from holdfast.errors import InvalidArgument


class Binding(msgspec.Struct):
    """Nested in Body."""

    host_port: str = msgspec.field(default="", name="HostPort")


class Body(msgspec.Struct):
    """Every kind of field."""

    image: str = msgspec.field(default="", name="Image")
    memory: int = msgspec.field(default=0, name="Memory")
    cmd: list[str] | None = msgspec.field(default=None, name="Cmd")
    env: list[str] = msgspec.field(default_factory=list, name="Env")
    volumes: dict[str, dict[str, str]] = msgspec.field(default_factory=dict, name="Volumes")
    ports: dict[str, list[Binding]] = msgspec.field(default_factory=dict, name="PortBindings")
    init: bool | None = msgspec.field(default=None, name="Init")
    host: Binding = msgspec.field(default_factory=Binding, name="HostConfig")


def read(document: object) -> Body:
    return decode(json.dumps(document).encode(), Body)


def test_keys_match_whatever_their_case():
    assert read({"image": "a", "MEMORY": 5, "hostconfig": {"hostport": "80"}}) == Body(
        image="a", memory=5, host=Binding(host_port="80")
    )


def test_null_is_the_zero_value_at_every_depth():
    document = {
        "Image": None, "Memory": None, "Cmd": None, "Env": None, "Volumes": {"/v": None},
        "PortBindings": {"80/tcp": None, "81/tcp": [None]}, "Init": None, "HostConfig": None,
    }  # fmt: skip

    assert read(document) == Body(volumes={"/v": {}}, ports={"80/tcp": [], "81/tcp": [Binding()]})


def test_null_in_a_list_is_the_elements_zero():
    assert read({"Cmd": ["a", None]}).cmd == ["a", ""]


def test_unknown_fields_are_ignored_whatever_they_hold():
    assert read({"Image": "a", "New": {"x": [1, None]}}).image == "a"


def test_the_document_null_is_the_zero_body():
    assert decode(b" null ", Body) == Body()


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b'{"Image":3}', "invalid JSON: json: cannot unmarshal number into Go struct field .Image of type string"),
        (b'{"memory":"a"}', "invalid JSON: json: cannot unmarshal string into Go struct field .Memory of type int"),
        (b'{"Env":"a"}', "invalid JSON: json: cannot unmarshal string into Go struct field .Env of type slice"),
        (b'"x"', "invalid JSON: json: cannot unmarshal string into Go value of type map"),
        (b"[]", "invalid JSON: json: cannot unmarshal array into Go value of type map"),
        (b'{"Image"', "invalid JSON: unexpected EOF"),
        (b"{}x", "unexpected content after JSON"),
        (b"{}{}", "unexpected content after JSON"),
    ],
)
def test_refusals_use_gos_words(data, text):
    with pytest.raises(InvalidArgument) as caught:
        decode(data, Body)

    assert caught.value.message == text


@pytest.mark.parametrize("data", [b"[" * 101, b'{"a":' * 101, b"[" * 1_000_000])
def test_depth_has_a_limit(data):
    with pytest.raises(InvalidArgument, match="depth"):
        decode(data, Body)


def test_a_wide_document_is_not_deep():
    assert (
        read({"PortBindings": {str(n): [{"HostPort": "{[" * 3}] for n in range(300)}}).ports["7"][0].host_port
        == "{[{[{["
    )


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["Image", "cmd", "ENV", "Volumes", "PortBindings", "HostConfig", "x"]), inner, max_size=4
        )
    ),
    max_leaves=12,
)


@given(_JSON)
def test_no_document_causes_anything_but_a_refusal(document):
    try:
        body = read(document)
    except InvalidArgument:
        return
    assert isinstance(body, Body)


@given(st.binary(max_size=60))
def test_no_bytes_cause_anything_but_a_refusal(data):
    try:
        body = decode(data, Body)
    except InvalidArgument:
        return
    assert isinstance(body, Body)


def test_bytes_that_are_no_utf_8_are_replaced():
    assert decode(b'{"Image":"a\xffb"}', Body).image == "a\ufffdb"


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30])
def test_a_number_beyond_64_bits_is_refused(number):
    with pytest.raises(InvalidArgument, match=r"cannot unmarshal number -?\d+ into Go struct field \.Memory"):
        read({"Memory": number})


def test_the_longest_numbers_are_taken():
    assert read({"Memory": (1 << 63) - 1, "Image": "9" * 30}).memory == (1 << 63) - 1


def test_null_in_a_list_that_may_be_a_string_is_an_empty_word():
    class Words(msgspec.Struct):
        words: list[str] | str | None = None

    assert decode(b'{"words":["a",null]}', Words).words == ["a", ""]
    assert decode(b'{"words":"a"}', Words).words == "a"
    assert decode(b'{"words":null}', Words).words is None
