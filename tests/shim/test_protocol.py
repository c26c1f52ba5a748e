# SPDX-License-Identifier: Apache-2.0
"""Messages and frames as bytes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast import errors
from holdfast.shim import protocol

_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), _values))
def test_a_message_survives_the_way(message: dict[str, object]):
    assert protocol.decode(protocol.encode(message)) == message


@given(st.binary())
def test_bytes_survive_the_way_through_json(data: bytes):
    assert protocol.text_to_bytes(protocol.bytes_to_text(data)) == data


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"1", b"\xff"])
def test_what_is_not_an_object_is_refused(data: bytes):
    with pytest.raises(errors.Corrupt):
        protocol.decode(data)


def test_a_frame_header_is_dockers():
    assert protocol.frame_header(protocol.STDERR, 0x01020304) == b"\x02\0\0\0\x01\x02\x03\x04"
